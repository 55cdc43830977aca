//! A real OCI registry: docker-registry as a child process.

pub mod raw;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries;

/// Who may push and pull where [`Options::asks_who_it_is`].
pub const USER: &str = "canary";
/// The password of [`USER`].
pub const PASSWORD: &str = "let me push";
/// Both, as `htpasswd -nbB -C 4` notes them.
const HTPASSWD: &str = "canary:$2y$04$1NyfX8Fmj4n1iS1JHMw77uvP7Uc5roPBMp8ZDWIITtTClYxqi3Rcm\n";

/// What the registry calls what the password is for: an address, as Istio's agent takes no other name. Nobody asks there.
const REALM: &str = "https://registry.example.com/";

/// The settings of a registry. By default it needs no credentials, and uses plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether only [`USER`] has access.
    pub asks_who_it_is: bool,
    /// The token service that access requires. The registry accepts any token.
    pub token_realm: Option<String>,
    /// The files of a certificate and of its key, in PEM, for HTTPS.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A registry with its own storage. It is killed and its storage is removed when this is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Registry {
    /// A registry without credentials.
    ///
    /// # Panics
    /// If it does not start, or there is no docker-registry.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// # Panics
    /// If it does not start, or there is no docker-registry.
    #[must_use]
    pub fn start_with(options: &Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yml");
        fs::write(&file, configuration(folder.path(), options).to_string()).expect("write its configuration");
        let binary = binary();
        let mut process = Command::new(&binary)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run `make test-registry`", binary.display()));
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines().map_while(Result::ok);
        let mut output = Vec::new();
        let address = lines.by_ref().find_map(|line| {
            let address = listens_on(&line);
            output.push(line);
            address
        });
        let address = address.unwrap_or_else(|| panic!("docker-registry does not start:\n{}", output.join("\n")));
        thread::spawn(move || lines.for_each(drop));
        let login = if options.asks_who_it_is { credentials(address, PASSWORD) } else { json!({}) };
        fs::write(folder.path().join("config.json"), login.to_string()).expect("write credentials");
        Self { process, address, folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of an image, `NAME:TAG`, as Istio takes it.
    #[must_use]
    pub fn url(&self, image: &str) -> String {
        format!("oci://{}/{image}", self.address)
    }

    /// Pushes a module by `canaryctl push` as an image `NAME:TAG`, as somebody who may.
    ///
    /// # Panics
    /// If it fails.
    pub fn push(&self, wasm: &Path, image: &str) {
        let output = Command::new(binaries::canaryctl())
            .args(["push", "--plain-http"])
            .arg(wasm)
            .arg(self.url(image))
            .env("DOCKER_CONFIG", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("run canaryctl");
        assert!(output.status.success(), "canaryctl push: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The file that holds a blob or a manifest of this digest, `sha256:…`.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hash = digest.trim_start_matches("sha256:");
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hash[..2]).join(hash).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A password for a registry, as `docker login` notes it, and as a Secret of Kubernetes holds it.
#[must_use]
pub fn credentials(registry: SocketAddr, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    json!({"auths": {registry.to_string(): {"auth": auth}}})
}

/// `$REGISTRY`, which `make` sets to what `scripts/get-registry` prints, else the one in `$PATH`.
fn binary() -> PathBuf {
    let named = env::var_os("REGISTRY").filter(|path| !path.is_empty());
    named.map_or_else(|| PathBuf::from("docker-registry"), PathBuf::from)
}

/// The registry's configuration: YAML, of which JSON is a part.
fn configuration(folder: &Path, options: &Options) -> Value {
    let mut configuration = json!({
        "version": "0.1",
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": folder.join("data")},
            "delete": {"enabled": true},
        },
        "http": {"addr": "127.0.0.1:0"},
    });
    if options.asks_who_it_is {
        let file = folder.join("htpasswd");
        fs::write(&file, HTPASSWD).expect("write htpasswd");
        configuration["auth"] = json!({"htpasswd": {"realm": REALM, "path": file}});
    }
    if let Some(realm) = &options.token_realm {
        configuration["auth"] = json!({"silly": {"realm": realm, "service": "canary-filter"}});
    }
    if let Some((certificate, key)) = &options.certificate {
        configuration["http"]["tls"] = json!({"certificate": certificate, "key": key});
    }
    configuration
}

/// From a line of its log, `{"msg": "listening on 127.0.0.1:5000, tls", …}`.
fn listens_on(line: &str) -> Option<SocketAddr> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let address = entry["msg"].as_str()?.strip_prefix("listening on ")?;
    address.split(',').next()?.parse().ok()
}
