//! The README, as far as its commands can be carried out: its parts, what is expected of their output, and running them.

pub mod document;
pub mod pattern;
pub mod process;

use std::fs;

use crate::binaries::workspace;
use document::{Block, Step};

/// The section whose commands need Docker; the tests of `make test-compose` carry them out.
pub const NEEDS_DOCKER: &str = "## Local testing";

/// The README.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn read() -> String {
    fs::read_to_string(workspace().join("README.md")).expect("README.md")
}

/// The commands of the section that needs Docker, or those of all others.
///
/// # Panics
/// If there is no such section.
#[must_use]
pub fn steps(needs_docker: bool) -> Vec<Step> {
    let readme = read();
    let section = document::lines_of_section(&readme, NEEDS_DOCKER);
    let is_asked_for = |block: &&Block| block.language == "console" && section.contains(&block.line) == needs_docker;
    document::blocks(&readme).iter().filter(is_asked_for).flat_map(document::steps).collect()
}
