//! Runs the commands of a page.

use std::time::Instant;

use super::{document::Step, pattern, process::Process};
use crate::wait::PATIENCE;

/// Runs a step's command, or its replacement. A command that shows the effect of earlier ones is repeated until its output is right,
/// because a change takes up to a second.
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
