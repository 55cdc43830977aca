//! The command-line tool as a child process.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{binaries, child};

/// A server of canaryctl's. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts an echo server for `SERVICE[/VERSION]` that calls these URLs for every request, through `proxy`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn echo(version: &str, calls: &[&str], proxy: SocketAddr) -> Self {
        let (service, version) = version.split_once('/').unwrap_or((version, "v1"));
        let mut command = Command::new(binaries::canaryctl());
        command
            .args(["echo", "--listen", "127.0.0.1:0", "--service", service, "--version", version])
            .args(["--via", &proxy.to_string()])
            .args(calls.iter().flat_map(|url| ["--call", url]));
        Self::start(&mut command)
    }

    /// Starts a board of the Envoy with this admin interface.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn board(admin: SocketAddr, flags: &[&str]) -> Self {
        let mut command = Command::new(binaries::canaryctl());
        command.args(["board", "--listen", "127.0.0.1:0", "--envoy", &format!("http://{admin}")]).args(flags);
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Self {
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start a server of canaryctl");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("its first line");
        let address = line.trim().rsplit([' ', '/']).next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{command:?} does not say where it listens: {line:?}"));
        Self { process, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `canaryctl render` prints of a document, with more flags.
///
/// # Errors
/// What it says against it.
pub fn render(what: &str, document: &Value, flags: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binaries::canaryctl());
    let output = child::run(command.args(["render", what, "--config", "-"]).args(flags), &document.to_string());
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The clusters that `canaryctl render bootstrap` makes of a configuration whose versions, `SERVICE[/VERSION]`, are served
/// at these addresses; those of other versions are left out.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn rendered_clusters(config: &Path, servers: &BTreeMap<&str, SocketAddr>) -> Vec<Value> {
    let output = Command::new(binaries::canaryctl())
        .args(["render", "bootstrap", "--output", "json", "--config"])
        .arg(config)
        .arg("--wasm")
        .arg(binaries::wasm())
        .args(servers.iter().flat_map(|(version, address)| ["--upstream".to_owned(), format!("{version}={address}")]))
        .output()
        .expect("run canaryctl render");
    assert!(output.status.success(), "canaryctl render: {}", String::from_utf8_lossy(&output.stderr));
    let bootstrap: Value = serde_json::from_slice(&output.stdout).expect("a bootstrap");
    let clusters = bootstrap["static_resources"]["clusters"].as_array().expect("clusters").iter();
    let served = |cluster: &&Value| {
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        let port = endpoint["address"]["socket_address"]["port_value"].as_u64();
        servers.values().any(|address| Some(u64::from(address.port())) == port)
    };
    let resource = |cluster: &Value| {
        let mut cluster = cluster.clone();
        cluster["@type"] = "type.googleapis.com/envoy.config.cluster.v3.Cluster".into();
        cluster
    };
    clusters.filter(served).map(resource).collect()
}
