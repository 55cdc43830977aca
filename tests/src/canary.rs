//! An Envoy with the filter between a client and four upstreams.

use std::{fs, net::SocketAddr};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binaries::{self, EnvoyBinary},
    bootstrap::{self, Listeners, NAME},
    envoy::Envoy,
    pushed::PushedFile,
    upstream::Upstream,
    wait,
};

/// How the filter's configuration reaches Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The extension configuration discovery service, by a file.
    Ecds,
    /// The listener discovery service, by a file; the configuration is part of the listener.
    Lds,
}

/// Names of the upstreams behind the versions v1, v2, v3 of `reviews`, and of the one behind the native route.
pub const UPSTREAMS: [&str; 4] = ["v1", "v2", "v3", NATIVE];

/// Name of the upstream and of the cluster behind the native route.
pub const NATIVE: &str = "native";

/// The cluster of an upstream as the default template names it: of a version of `reviews`, or of `service/version`.
#[must_use]
pub fn cluster_name(upstream: &str) -> String {
    match (upstream, upstream.split_once('/')) {
        (NATIVE, _) => upstream.to_owned(),
        (version, None) => format!("outbound|9080|{version}|reviews.default.svc.cluster.local"),
        (_, Some((service, version))) => format!("outbound|9080|{version}|{service}.default.svc.cluster.local"),
    }
}

/// The Envoy, its configuration files and its upstreams. Everything ends when this is dropped.
#[derive(Debug)]
pub struct Canary {
    /// The proxy.
    pub envoy: Envoy,
    /// Where clients connect.
    pub address: SocketAddr,
    delivery: Delivery,
    configuration: PushedFile,
    clusters: PushedFile,
    upstreams: Vec<Upstream>,
    folder: TempDir,
}

impl Canary {
    /// Starts it with the filter's first `document` and with upstreams of these names, each in its cluster.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start(binary: &EnvoyBinary, delivery: Delivery, document: &Value, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut upstreams = Vec::new();
        for name in names {
            upstreams.push(Upstream::start(name).await);
        }
        let clusters = PushedFile::new(folder.path().join("cds.json"), &clusters(&upstreams));
        let first = resource(delivery, &folder, document);
        let configuration = PushedFile::new(folder.path().join("filter.json"), &[first]);
        let bootstrap = match delivery {
            Delivery::Ecds => {
                let filter = bootstrap::discovered_filter(&configuration);
                let listener = bootstrap::listener(&filter, &folder.path().join("access.log"));
                bootstrap::bootstrap(&clusters, &Listeners::Static(&listener))
            }
            Delivery::Lds => bootstrap::bootstrap(&clusters, &Listeners::Lds(&configuration)),
        };
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
        let envoy = Envoy::start(binary, folder.path(), &file).await;
        let address = envoy.listener(NAME).await;
        Self { envoy, address, delivery, configuration, clusters, upstreams, folder }
    }

    /// Pushes another document for the filter.
    pub fn configure(&self, document: &Value) {
        self.configuration.push(&[resource(self.delivery, &self.folder, document)]);
    }

    /// Starts another upstream and pushes its cluster.
    pub async fn add_upstream(&mut self, name: &str) {
        self.upstreams.push(Upstream::start(name).await);
        self.clusters.push(&clusters(&self.upstreams));
    }

    /// The upstream of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn upstream(&self, name: &str) -> &Upstream {
        self.upstreams.iter().find(|upstream| upstream.name() == name).unwrap_or_else(|| panic!("no upstream {name}"))
    }

    /// The access log's entry of the request with this x-test-id.
    pub async fn access_log(&self, id: &str) -> Value {
        let path = self.folder.path().join("access.log");
        wait::until(&format!("the access log's entry of {id}"), async || {
            let log = fs::read_to_string(&path).ok()?;
            log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|entry| entry["id"] == id)
        })
        .await
    }
}

fn clusters(upstreams: &[Upstream]) -> Vec<Value> {
    let cluster = |upstream: &Upstream| bootstrap::cluster(&cluster_name(upstream.name()), upstream.address());
    upstreams.iter().map(cluster).collect()
}

fn resource(delivery: Delivery, folder: &TempDir, document: &Value) -> Value {
    let wasm = binaries::wasm();
    match delivery {
        Delivery::Ecds => bootstrap::ecds_resource(&wasm, document),
        Delivery::Lds => {
            let filter = bootstrap::inline_filter(&wasm, document);
            bootstrap::lds_resource(bootstrap::listener(&filter, &folder.path().join("access.log")))
        }
    }
}
