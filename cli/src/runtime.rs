//! What the subcommands that serve have in common: the runtime, the signals, the exit code.

use std::{io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};

use crate::console;

/// Runs a subcommand to its end; an error is shown and becomes exit code 1.
pub(crate) fn block_on(command: impl Future<Output = Result<ExitCode, String>>) -> ExitCode {
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    outcome.unwrap_or_else(|error| {
        console::complain(format_args!("error: {error}"));
        ExitCode::FAILURE
    })
}

/// Ready at SIGINT (Ctrl-C), SIGTERM or SIGHUP, which from now on do not end the process by themselves.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn termination() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
