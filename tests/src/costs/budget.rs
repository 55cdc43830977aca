//! What the budget has recorded of the shipped module: exact, on any machine. Written by `RECORD=1 cargo test -p e2e --test budget`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{binaries, host_calls::HostCall};

/// Everything that is recorded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Budget {
    /// By the name of a case.
    pub cases: BTreeMap<String, Cost>,
    /// The host calls of one request, by the name of a job: what its floor makes.
    pub jobs: BTreeMap<String, Vec<HostCall>>,
    /// The large requests that take the most instructions.
    pub large: LargeRequests,
}

/// What one request takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Instructions of the VM, by wasmtime's fuel.
    pub instructions: u64,
    /// The VM's memory, with the configuration loaded.
    pub memory_kib: u64,
    /// Host calls by name.
    pub calls: BTreeMap<String, u64>,
}

/// The large requests that take the most instructions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeRequests {
    /// Under a shipped example.
    pub shipped: Large,
    /// Under regular expressions that people copy.
    pub copied: Large,
}

/// A large request, see [`crate::workload::large`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Large {
    /// The document.
    pub subject: String,
    /// Where it goes.
    pub authority: String,
    /// The path, without what is large.
    pub path: String,
    /// The header that is large.
    pub header: String,
    /// What it consists of.
    pub kind: String,
    /// What it takes.
    pub instructions: u64,
    /// What a harmless request of that size takes under the same document.
    pub harmless: u64,
}

impl Budget {
    /// Where it is kept.
    #[must_use]
    pub fn path() -> PathBuf {
        binaries::workspace().join("tests/tests/data/budget.json")
    }

    /// What is kept.
    ///
    /// # Panics
    /// If it is not there, or is something else.
    #[must_use]
    pub fn read() -> Self {
        let text = fs::read_to_string(Self::path()).expect("budget.json");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("budget.json: {error}"))
    }

    /// As it is kept.
    ///
    /// # Panics
    /// Never: all of it can be written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("JSON");
        text.push('\n');
        text
    }

    /// A case.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn case(&self, name: &str) -> &Cost {
        self.cases.get(name).unwrap_or_else(|| panic!("budget.json has no case {name}"))
    }
}
