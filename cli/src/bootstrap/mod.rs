//! The bootstrap of a stock Envoy that runs the filter with one configuration.

mod clusters;
mod filter;
mod listener;
mod traffic_policy;
mod upstream;
mod versions;

use std::path::Path;

use canary_routing::{Config, config::ControlHeaders};
use serde_json::{Value, json};

pub(crate) use clusters::{cluster, discovery_response as cluster_discovery};
pub(crate) use filter::{NAME as FILTER_NAME, discovery_response as filter_discovery};
pub(crate) use traffic_policy::TrafficPolicy;
pub(crate) use upstream::Upstream;
pub(crate) use upstream::{Serving, check as check_upstreams, serving};
pub(crate) use versions::Version;

use self::versions::Versions;
use crate::{address::HostPort, documents::Document};

/// Name of the cluster behind the proxy's own routes: what the filter leaves untouched goes there.
pub(crate) const NATIVE_CLUSTER: &str = "native";

/// Something about one place of the document, by its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) at: String,
    pub(crate) text: String,
}

impl Remark {
    fn new(at: impl Into<String>, text: impl Into<String>) -> Self {
        Self { at: at.into(), text: text.into() }
    }
}

/// A configuration, and what an Envoy needs to run it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    /// The document as the filter gets it.
    pub(crate) document: Value,
    pub(crate) versions: Vec<Version>,
    /// What the user should know, in lines `FILE: /pointer: message`.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Reads a configuration file; everything that is wrong with it comes back in lines `FILE: /pointer: message`.
    pub(crate) fn load(file: &Path) -> Result<Self, Vec<String>> {
        let document = Document::load(&file.display().to_string()).map_err(|problem| vec![problem])?;
        Self::of(document)
    }

    fn of(document: Document) -> Result<Self, Vec<String>> {
        let (config, warnings) = document.read()?;
        let mut versions = Versions::of(&config);
        if config.headers.cluster().is_none() {
            let text = "the proxy is steered by this header; it cannot be turned off here";
            versions.errors.push(Remark::new("/headers/cluster", text));
        }
        let line = |remark: &Remark, kind: &str| format!("{}: {kind}{}", document.origin(&remark.at), remark.text);
        if !versions.errors.is_empty() {
            return Err(versions.errors.iter().map(|error| line(error, "")).collect());
        }
        let remarks = versions.notes.iter().map(|note| line(note, "note: "));
        let notes = document.notes.iter().cloned().chain(warnings).chain(remarks).collect();
        let mut value = document.value;
        versions.name_in(&mut value);
        Ok(Self { config, document: value, versions: versions.all, notes })
    }
}

/// Where Envoy gets clusters and filter configuration from.
pub(crate) enum Source<'a> {
    /// Files that are replaced while Envoy runs.
    Discovery { clusters: &'a Path, filter: &'a Path },
    /// The bootstrap itself.
    Inline { clusters: Vec<Value>, wasm: &'a Path, document: &'a str },
}

/// The ports on 127.0.0.1; 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) listener: u16,
    pub(crate) admin: u16,
}

/// The whole bootstrap.
pub(crate) fn bootstrap(ports: Ports, headers: &ControlHeaders, native: &HostPort, source: Source<'_>) -> Value {
    let node = json!({"id": "canaryctl", "cluster": "canaryctl"});
    let admin = json!({"address": loopback(ports.admin)});
    let native = cluster(NATIVE_CLUSTER, native, &TrafficPolicy::default());
    let listener = |canary| listener::listener(ports.listener, headers, canary);
    match source {
        Source::Discovery { clusters, filter } => json!({
            "node": node,
            "admin": admin,
            "dynamic_resources": {"cds_config": file_source(clusters)},
            "static_resources": {"clusters": [native], "listeners": [listener(filter::discovered(filter))]},
        }),
        Source::Inline { mut clusters, wasm, document } => {
            clusters.push(native);
            let listeners = [listener(filter::inline(wasm, document))];
            json!({
                "node": node,
                "admin": admin,
                "static_resources": {"clusters": clusters, "listeners": listeners},
            })
        }
    }
}

fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn file_source(path: &Path) -> Value {
    json!({"resource_api_version": "V3", "path_config_source": {"path": path}})
}
