//! A program that ends with the process that started it, also where that is killed.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command, process::ExitCode};

use rustix::process::{Pid, getppid};

use crate::console;

/// The exit code where the program cannot be run, as shells have it.
const CANNOT_RUN: u8 = 127;

/// The flags of `canaryctl attached`, by which `canaryctl run` starts its Envoy.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The number of the process that starts the program, and that it ends with
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Args {
    /// Becomes the program. Returns only where that is not possible, or its parent has ended before.
    #[must_use]
    pub fn run(self) -> ExitCode {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
            console::complain(format_args!("error: a killed canaryctl will leave its Envoy: {error}"));
        }
        // From now on its end is noticed; it may have come before.
        if getppid() != Pid::from_raw(self.parent) {
            return ExitCode::FAILURE;
        }
        let mut words = self.command.into_iter();
        let Some(program) = words.next() else { return ExitCode::FAILURE };
        let error = Command::new(&program).args(words).exec();
        console::complain(format_args!("error: {}: {error}", program.display()));
        ExitCode::from(CANNOT_RUN)
    }
}
