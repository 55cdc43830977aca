//! canaryctl: the command-line tool of canary-filter.

use std::process::ExitCode;

use canaryctl::Cli;
use clap::Parser as _;

fn main() -> ExitCode {
    Cli::parse().run()
}
