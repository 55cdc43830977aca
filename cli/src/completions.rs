//! `canaryctl completions`: what a shell completes.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::console;

/// The flags of `canaryctl completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    /// Prints the script for the shell.
    pub fn run(self, command: &mut clap::Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "canaryctl", &mut script);
        console::say(String::from_utf8_lossy(&script).trim_end());
        ExitCode::SUCCESS
    }
}
