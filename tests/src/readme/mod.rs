//! The README, as far as its commands can be carried out: its parts, what is expected of their output, and running them.

pub mod document;
pub mod pattern;
pub mod process;
pub mod walk;

use std::fs;

use crate::binaries::workspace;
use document::{Block, Step};

/// The section whose commands need Docker; the tests of `make test-compose` carry them out.
pub const NEEDS_DOCKER: &str = "## Local testing";
/// The sections whose commands need Istio, in order; the tests of `make test-istio` carry them out.
pub const NEEDS_ISTIO: [&str; 2] = ["### From pull to canary", "### Whether it works"];
/// The section whose commands need a registry; the tests of `make test-registry` carry them out.
pub const NEEDS_REGISTRY: &str = "### The image";
/// The sections that have tests of their own.
const ELSEWHERE: [&str; 4] = [NEEDS_DOCKER, NEEDS_REGISTRY, NEEDS_ISTIO[0], NEEDS_ISTIO[1]];

/// The README.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn read() -> String {
    fs::read_to_string(workspace().join("README.md")).expect("README.md")
}

/// The commands of a section that has a test of its own.
///
/// # Panics
/// If there is no such section.
#[must_use]
pub fn steps_of(section: &str) -> Vec<Step> {
    let readme = read();
    let lines = document::lines_of_section(&readme, section);
    steps_where(&readme, |block| lines.contains(&block.line))
}

/// The commands of all other sections.
///
/// # Panics
/// If a section that has a test of its own is not there.
#[must_use]
pub fn other_steps() -> Vec<Step> {
    let readme = read();
    let elsewhere = ELSEWHERE.map(|section| document::lines_of_section(&readme, section));
    steps_where(&readme, |block| !elsewhere.iter().any(|lines| lines.contains(&block.line)))
}

fn steps_where(readme: &str, is_asked_for: impl Fn(&Block) -> bool) -> Vec<Step> {
    let blocks = document::blocks(readme);
    let commands = blocks.iter().filter(|block| block.language == "console" && is_asked_for(block));
    commands.flat_map(document::steps).collect()
}
