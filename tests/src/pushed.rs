//! Configuration files that a running Envoy watches.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

/// One file of resources (LDS, CDS or ECDS).
#[derive(Debug)]
pub struct PushedFile {
    path: PathBuf,
    version: AtomicU64,
}

impl PushedFile {
    /// A file that is written first, so that Envoy finds it at its start.
    #[must_use]
    pub fn new(path: PathBuf, resources: &[Value]) -> Self {
        let file = Self { path, version: AtomicU64::new(0) };
        file.push(resources);
        file
    }

    /// Replaces the content by a rename, the only way that Envoy notices.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn push(&self, resources: &[Value]) {
        let version = self.version.fetch_add(1, Ordering::Relaxed).to_string();
        let document = json!({"version_info": version, "resources": resources});
        let new = self.path.with_extension("new");
        fs::write(&new, document.to_string()).expect("write next to a configuration file");
        fs::rename(&new, &self.path).expect("rename to a configuration file");
    }

    /// A `config_source` that reads this file.
    #[must_use]
    pub fn config_source(&self) -> Value {
        json!({"resource_api_version": "V3", "path_config_source": {"path": self.path}})
    }
}
