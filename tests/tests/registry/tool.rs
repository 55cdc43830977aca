//! canaryctl with a home of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use e2e::{binaries, registry::credentials};
use tempfile::TempDir;

/// A folder in which canaryctl runs, and what it finds there.
#[derive(Debug)]
pub(crate) struct Tool {
    folder: TempDir,
    variables: Vec<(&'static str, PathBuf)>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) succeeded: bool,
    pub(crate) output: String,
    pub(crate) stderr: String,
}

impl Tool {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), variables: Vec::new() }
    }

    /// With this variable, a path.
    pub(crate) fn with(mut self, name: &'static str, path: &Path) -> Self {
        self.variables.push((name, path.to_owned()));
        self
    }

    /// With credentials for a registry, as `docker login` notes them.
    pub(crate) fn logged_in(self, registry: SocketAddr, password: &str) -> Self {
        self.configured(&credentials(registry, password))
    }

    /// With this configuration of Docker's.
    pub(crate) fn configured(self, configuration: &serde_json::Value) -> Self {
        let folder = self.path(".docker");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("config.json"), configuration.to_string()).expect("write the configuration");
        self
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs canaryctl there.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let output = Command::new(binaries::canaryctl())
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("DOCKER_CONFIG")
            .env_remove("SSL_CERT_DIR")
            .envs(self.variables.iter().map(|(name, path)| (name, path)))
            .stdin(Stdio::null())
            .output()
            .expect("run canaryctl");
        Outcome {
            succeeded: output.status.success(),
            output: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Pushes the filter by plain HTTP.
    pub(crate) fn push(&self, image: &str, flags: &[&str]) -> Outcome {
        let wasm = binaries::wasm();
        let file = wasm.to_str().expect("a path in UTF-8");
        self.run(&[&["push", file, image, "--plain-http"], flags].concat())
    }

    /// Pulls by plain HTTP into `pulled.wasm`.
    pub(crate) fn pull(&self, image: &str) -> Outcome {
        self.run(&["pull", image, "--plain-http", "--output", "pulled.wasm"])
    }

    /// What is in `pulled.wasm`, if there is one.
    pub(crate) fn pulled(&self) -> Option<Vec<u8>> {
        fs::read(self.path("pulled.wasm")).ok()
    }
}

impl Outcome {
    /// The digest that it printed.
    pub(crate) fn digest(&self) -> &str {
        assert!(self.succeeded, "{self:?}");
        let digest = self.output.strip_suffix('\n').unwrap_or_default();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{self:?}");
        digest
    }

    /// That it failed, said so in one last line, and printed no digest.
    pub(crate) fn has_failed_with(&self, row: &str, expected: &str) {
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(!self.succeeded && self.output.is_empty(), "{row}: {self:?}");
        assert!(last.starts_with("error: ") && last.contains(expected), "{row}: {self:?}");
    }
}

/// The filter that is pushed.
pub(crate) fn module() -> Vec<u8> {
    fs::read(binaries::wasm()).expect("the filter")
}

/// An image of a registry, by a tag or what else stands behind its name.
pub(crate) fn image(registry: SocketAddr, tag: &str) -> String {
    format!("oci://{registry}/canary-filter{tag}")
}
