//! Commands of a text, carried out.

use std::time::Instant;

use super::{document::Step, pattern, process::Process};
use crate::wait::PATIENCE;

/// Runs what stands for a step's command here. One that asks what others bring about is run until it has the output that is shown:
/// a change is in force within a second, not at once.
///
/// # Panics
/// If its output is another one.
pub async fn carry_out(step: &Step, is_question: bool, command: impl AsyncFn() -> String) {
    let begin = Instant::now();
    loop {
        let output = Process::start(&command().await).wait_for_end();
        if !is_question || begin.elapsed() > PATIENCE || pattern::matches(&step.expected, &output) {
            return assert_matches(&step.command, &step.expected, &output);
        }
    }
}

/// Asserts that a command has the output that is shown.
///
/// # Panics
/// If it has another one.
pub fn assert_matches(command: &str, expected: &[String], output: &[String]) {
    assert!(
        pattern::matches(expected, output),
        "$ {command}\n--- expected\n{}\n--- found\n{}\n---",
        expected.join("\n"),
        output.join("\n"),
    );
}
