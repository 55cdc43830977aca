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
pub const UPSTREAMS: [&str; 4] = ["v1", "v2", "v3", "native"];

/// The cluster of a version as the default template names it.
#[must_use]
pub fn cluster_name(upstream: &str) -> String {
    match upstream {
        "native" => upstream.to_owned(),
        version => format!("outbound|9080|{version}|reviews.default.svc.cluster.local"),
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
    /// Starts it with the filter's first `document`, with the clusters of [`UPSTREAMS`] that `present` names.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start(binary: &EnvoyBinary, delivery: Delivery, document: &Value, present: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut upstreams = Vec::new();
        for name in UPSTREAMS {
            upstreams.push(Upstream::start(name).await);
        }
        let clusters = PushedFile::new(folder.path().join("cds.json"), &clusters(&upstreams, present));
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

    /// Pushes the clusters of [`UPSTREAMS`] that `present` names.
    pub fn set_clusters(&self, present: &[&str]) {
        self.clusters.push(&clusters(&self.upstreams, present));
    }

    /// The upstream of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn upstream(&self, name: &str) -> &Upstream {
        self.upstreams.iter().find(|upstream| upstream.name() == name).expect("an upstream of UPSTREAMS")
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

fn clusters(upstreams: &[Upstream], present: &[&str]) -> Vec<Value> {
    let named = upstreams.iter().filter(|upstream| present.contains(&upstream.name()));
    named.map(|upstream| bootstrap::cluster(&cluster_name(upstream.name()), upstream.address())).collect()
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
