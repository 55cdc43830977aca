//! Runs programs to their end, and prints the logs of others.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

/// Runs a command with this standard input, and collects what it writes.
///
/// # Panics
/// If it does not start.
pub fn run(command: &mut Command, input: &str) -> Output {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("its standard input");
    thread::scope(|scope| {
        scope.spawn(move || {
            // One that ends without reading it says why.
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output().expect("its output")
    })
}

/// Prints the last lines of a log after a failed test.
pub fn show_end(of: &str, log: &str, lines: usize) {
    let all: Vec<_> = log.lines().collect();
    eprintln!("--- the end of the log of {of}");
    all.iter().skip(all.len().saturating_sub(lines)).for_each(|line| eprintln!("{line}"));
    eprintln!("---");
}
