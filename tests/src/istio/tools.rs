//! The programs, and what comes with them.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::binaries;

/// What `scripts/get-istio` has built.
#[derive(Debug, Clone)]
pub struct Tools(PathBuf);

impl Tools {
    /// `$ISTIO_TOOLS`, else what `scripts/get-istio` prints, which builds them where they are missing.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn get() -> Self {
        if let Some(directory) = env::var_os("ISTIO_TOOLS").filter(|directory| !directory.is_empty()) {
            return Self(directory.into());
        }
        let script = binaries::workspace().join("scripts/get-istio");
        let output = Command::new(&script).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.unwrap_or_else(|error| panic!("run {}: {error}", script.display()));
        assert!(output.status.success(), "{} has failed, see above", script.display());
        Self(String::from_utf8_lossy(&output.stdout).trim().into())
    }

    /// The program of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let path = self.0.join("bin").join(name);
        assert!(path.is_file(), "{} is not there: run scripts/get-istio", path.display());
        path
    }

    /// Istio's template of a proxy's bootstrap.
    #[must_use]
    pub fn bootstrap_template(&self) -> PathBuf {
        self.0.join("envoy_bootstrap.json")
    }

    /// The folder of the resource definitions of Istio and the Gateway API.
    #[must_use]
    pub fn definitions(&self) -> PathBuf {
        self.0.join("crds")
    }

    /// `istioctl` in this folder with these arguments: what it says, and whether it is content.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn istioctl(&self, folder: &Path, arguments: &[&str]) -> (bool, String) {
        let output =
            Command::new(self.program("istioctl")).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
        let output = output.expect("run istioctl");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}
