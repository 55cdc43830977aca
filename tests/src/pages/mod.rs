//! The pages of the documentation, as far as they can be carried out: their parts, what is expected of their commands, and running
//! them.

pub mod document;
pub mod pattern;
pub mod process;
pub mod walk;

use std::{fs, path::Path};

use crate::binaries::workspace;
use document::{Block, Step};

/// The first page.
pub const README: &str = "README.md";
/// The page whose commands need Docker: the tests of `make test-compose` carry them out.
pub const COMPOSE: &str = "docs/quickstart-compose.md";
/// The page whose commands need Istio: the tests of `make test-istio` carry them out.
pub const ISTIO: &str = "docs/install/istio.md";
/// Its sections with commands, in order.
pub const ISTIO_SECTIONS: [&str; 2] = ["## From pull to canary", "## Whether it works"];
/// The page whose commands need a registry: the tests of `make test-registry` carry them out.
pub const IMAGE: &str = "docs/install/image.md";
/// The page whose commands need the files of a release: the tests of `make release` carry them out.
pub const RELEASES: &str = "docs/operations/releases.md";
/// The pages whose commands have tests of their own.
const ELSEWHERE: [&str; 5] = [COMPOSE, ISTIO, IMAGE, RELEASES, "docs/make-before-break.md"];
/// The page with the program that computes buckets.
pub const STICKY: &str = "docs/reference/sticky.md";

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its path from the root of the project.
    pub file: String,
    /// Its Markdown.
    pub text: String,
}

impl Page {
    /// The page at a path from the root of the project.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn read(file: &str) -> Self {
        let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self { file: file.to_owned(), text }
    }

    /// The README and every page below `docs`.
    ///
    /// # Panics
    /// If one cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut files = vec![README.to_owned()];
        add_pages(Path::new("docs"), &mut files);
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// Whether its commands have tests of their own.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        ELSEWHERE.contains(&&*self.file)
    }

    /// Its fenced blocks in order.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        document::blocks(&self.text)
    }

    /// Its commands in order.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let blocks = self.blocks();
        blocks.iter().filter(|block| block.language == "console").flat_map(document::steps).collect()
    }

    /// The commands of a section.
    ///
    /// # Panics
    /// If there is no such section.
    #[must_use]
    pub fn steps_of(&self, section: &str) -> Vec<Step> {
        let lines = document::lines_of_section(&self.text, section);
        let blocks = self.blocks();
        let commands = blocks.iter().filter(|block| block.language == "console" && lines.contains(&block.line));
        commands.flat_map(document::steps).collect()
    }

    /// The program in Python.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[must_use]
    pub fn program(&self) -> String {
        let mut programs = self.blocks().into_iter().filter(|block| block.language == "python");
        let program = programs.next().unwrap_or_else(|| panic!("{} has no program", self.file));
        assert_eq!(programs.next(), None, "{} has one program", self.file);
        program.text
    }
}

fn add_pages(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(workspace().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if workspace().join(&path).is_dir() {
            add_pages(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path.to_str().expect("a path in UTF-8").to_owned());
        }
    }
}
