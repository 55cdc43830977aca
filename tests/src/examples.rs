//! The folders of `envoy-configs/examples`: `COLLECTION/STEP/`, with a configuration and a table of requests in each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::binaries;

/// Where the collections are.
#[must_use]
pub fn root() -> PathBuf {
    binaries::workspace().join("envoy-configs/examples")
}

/// The folders in a folder, in order of their names.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    let mut folders: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty(), "no folder in {}", folder.display());
    folders.sort();
    folders
}

/// A YAML file of one document.
///
/// # Panics
/// If it is not there, or is not YAML.
#[must_use]
pub fn read_yaml(path: &Path) -> Value {
    let yaml = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
