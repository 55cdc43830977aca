//! The bootstrap of a stock Envoy that runs the filter with one configuration.

mod clusters;
mod discovery;
mod failover;
pub(crate) mod filter;
pub(crate) mod listener;
mod names;
mod native;
mod ports;
mod remark;
mod served;
mod statistics;
mod traffic_policy;
mod upstream;
mod version_routes;
mod versions;

use std::{collections::BTreeMap, path::Path};

use canary_config::{Config, FailoverCluster, Mode};
use serde_json::{Value, json};

pub(crate) use clusters::cluster;
pub(crate) use discovery::{cluster_discovery, route_discovery};
pub(crate) use failover::{Failover, tries};
pub(crate) use filter::{NAME as FILTER_NAME, discovery_response as filter_discovery};
pub(crate) use names::{NATIVE_CLUSTER, ROUTES_STATISTICS};
pub(crate) use native::NativePart;
pub(crate) use ports::Ports;
pub(crate) use remark::Remark;
pub(crate) use served::{ServedVersion, served_filters};
pub(crate) use statistics::LABELS;
pub(crate) use traffic_policy::{Reading, TrafficPolicy};
pub(crate) use upstream::Upstream;
pub(crate) use upstream::{Serving, addresses as upstream_addresses, check as check_upstreams, serving};
pub(crate) use versions::Version;

use self::{
    discovery::file_source,
    listener::Routes,
    names::{METADATA, VERSION},
    ports::socket_address,
    versions::Versions,
};
use crate::{
    address::HostPort,
    documents::{Document, Severity, set},
};

/// A configuration, and what an Envoy needs to run it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) native: NativePart,
    /// The document as the filter gets it.
    pub(crate) document: Value,
    pub(crate) versions: Vec<Version>,
    /// The kind of its failover clusters.
    pub(crate) failover: Failover,
    /// What the user should know, in lines `FILE: /pointer: message`.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Reads a configuration file; everything that is wrong with it comes back in lines `FILE: /pointer: message`.
    pub(crate) fn load(file: &Path, failover: Failover) -> Result<Self, Vec<String>> {
        let document = Document::load(&file.display().to_string()).map_err(|problem| vec![problem])?;
        let (config, warnings) = document.read()?;
        let mut versions = Versions::of(&config, &document.value);
        let native = NativePart::of(&config);
        if let (place, None) = native.steering_header() {
            let text = "the proxy is steered by this header; it cannot be turned off here";
            versions.errors.push(Remark::new(place, text));
        }
        if native.mode == Mode::Version {
            versions.notes.extend(version_routes::ambiguities(&config, &versions.all));
        }
        let line = |severity| {
            let document = &document;
            move |remark: &Remark| document.line(severity, "run", &remark.at, &*remark.text)
        };
        if !versions.errors.is_empty() {
            return Err(versions.errors.iter().map(line(Severity::Error)).collect());
        }
        let remarks = versions.notes.iter().map(line(Severity::Note));
        let notes = document.notes().into_iter().chain(warnings).chain(remarks).collect();
        let mut document = document;
        versions.name_in(&mut document.value);
        if config.longest_fallback() > 0 {
            set(&mut document.value, "/clusters/failover", json!(true));
        }
        let (config, _) = document.read()?;
        Ok(Self { config, native, document: document.value, versions: versions.all, failover, notes })
    }

    /// The failover clusters: each goes on from one version to others.
    pub(crate) fn failover_clusters(&self) -> BTreeMap<String, Value> {
        let tries = tries(&self.config);
        let cluster = |cluster: FailoverCluster| {
            let is_first = |version: &&Version| version.host == cluster.host && version.subset == cluster.subset;
            let policy = self.versions.iter().find(is_first).map(|version| version.policy.clone()).unwrap_or_default();
            let served = ServedVersion {
                format: format!("%UPSTREAM_METADATA({METADATA}:{VERSION})%"),
                expression: format!("xds.upstream_host_metadata.filter_metadata['{METADATA}']['{VERSION}']"),
            };
            let headers = self.config.version_headers(&cluster.host);
            let filters = served_filters(headers, Some(&served), self.native.headers.host());
            (cluster.name.clone(), self.failover.cluster(&cluster, tries, &policy, filters.as_ref()))
        };
        self.config.failover_clusters().into_iter().map(cluster).collect()
    }

    /// The native routes.
    pub(crate) fn routes(&self) -> Value {
        self.native.routes(&self.config, &self.versions, self.failover)
    }
}

/// Where Envoy gets clusters, routes and filter configuration from.
pub(crate) enum Source<'a> {
    /// Files that are replaced while Envoy runs.
    Discovery { clusters: &'a Path, routes: &'a Path, filter: &'a Path },
    /// The bootstrap itself.
    Inline { clusters: Vec<Value>, document: &'a str },
}

/// The whole bootstrap.
pub(crate) fn bootstrap(ports: Ports, plan: &Plan, wasm: &Path, native: &HostPort, source: Source<'_>) -> Value {
    let node = json!({"id": "canaryctl", "cluster": "canaryctl"});
    let admin = json!({"address": socket_address(ports.admin_address, ports.admin)});
    let native = cluster(NATIVE_CLUSTER, native, &TrafficPolicy::default(), None);
    let listener = |canary, routes| listener::listener(ports, &plan.native, canary, routes);
    match source {
        Source::Discovery { clusters, routes, filter } => json!({
            "node": node,
            "admin": admin,
            "stats_config": statistics::statistics(),
            "dynamic_resources": {"cds_config": file_source(clusters)},
            "static_resources": {
                "clusters": [native],
                "listeners": [listener(filter::discovered(filter), Routes::File(routes))],
            },
        }),
        Source::Inline { mut clusters, document } => {
            clusters.push(native);
            let listener = listener(filter::inline(wasm, document), Routes::Inline(plan.routes()));
            json!({
                "node": node,
                "admin": admin,
                "stats_config": statistics::statistics(),
                "static_resources": {"clusters": clusters, "listeners": [listener]},
            })
        }
    }
}
