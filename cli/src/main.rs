//! canaryctl: the command-line tool of canary-filter.

use std::process::ExitCode;

use canaryctl::echo;
use clap::{Parser, Subcommand};

/// Canary releases in a stock Envoy: check a configuration, try it on a desk
#[derive(Debug, Parser)]
#[command(name = "canaryctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests with what was asked, as one version of a service
    Echo(echo::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Echo(args) => args.run(),
    }
}
