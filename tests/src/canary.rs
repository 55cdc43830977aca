//! An Envoy with the filter between a client and its upstreams.

use std::{
    fs,
    net::SocketAddr,
    sync::{Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binaries::{self, EnvoyBinary},
    bootstrap::{self, Listeners, NAME, Surroundings},
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
    /// An Envoy without the filter, for comparison. Configurations are lists of its native routes, by a file of the
    /// route discovery service.
    Native,
}

/// Names of the upstreams behind the versions v1, v2, v3 of `reviews`, and of the one behind the native route.
pub const UPSTREAMS: [&str; 4] = ["v1", "v2", "v3", NATIVE];

/// The counter of accepted cluster updates.
const CLUSTERS_TAKEN: &str = "cluster_manager.cds.update_success";

/// Name of the upstream and of the cluster behind the native route.
pub const NATIVE: &str = "native";

/// The cluster of an upstream as the default template names it, with the versions of `reviews`.
#[must_use]
pub fn cluster_name(upstream: &str) -> String {
    match upstream {
        NATIVE => upstream.to_owned(),
        version => format!("outbound|9080|{version}|reviews.default.svc.cluster.local"),
    }
}

/// An upstream to start, and the clusters that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The upstream's name.
    pub name: String,
    /// Names of clusters.
    pub clusters: Vec<String>,
}

impl Backend {
    /// An upstream with the one cluster that [`cluster_name`] gives it.
    #[must_use]
    pub fn of(upstream: &str) -> Self {
        Self { name: upstream.to_owned(), clusters: vec![cluster_name(upstream)] }
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
    surroundings: Surroundings,
    configuration: PushedFile,
    clusters: PushedFile,
    /// The clusters that were pushed last: replaced ones, additional ones, and failover clusters.
    pushed: Mutex<Pushed>,
    upstreams: Vec<(Upstream, Vec<String>)>,
    folder: TempDir,
}

/// The clusters of an Envoy.
#[derive(Debug, Clone, Default)]
struct Pushed {
    versions: Vec<Value>,
    failover: Vec<Value>,
}

impl Pushed {
    fn all(&self) -> Vec<Value> {
        self.versions.iter().chain(&self.failover).cloned().collect()
    }
}

impl Canary {
    /// Starts it with the filter's first `document` and with upstreams of these names, each in its cluster.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start(binary: &EnvoyBinary, delivery: Delivery, document: &Value, names: &[&str]) -> Self {
        let backends: Vec<_> = names.iter().copied().map(Backend::of).collect();
        Self::start_in(binary, delivery, Surroundings::default(), document, &backends).await
    }

    /// Starts it with other filters and routes around the filter.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start_in(
        binary: &EnvoyBinary,
        delivery: Delivery,
        surroundings: Surroundings,
        document: &Value,
        backends: &[Backend],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut upstreams = Vec::new();
        for backend in backends {
            upstreams.push((Upstream::start(&backend.name).await, backend.clusters.clone()));
        }
        let mut pushed = Pushed { versions: clusters(&upstreams), ..Pushed::default() };
        let document = &with_failover(&surroundings, document, &mut pushed);
        let clusters = PushedFile::new(folder.path().join("cds.json"), &pushed.all());
        let first = resource(delivery, &surroundings, &folder, document);
        let configuration = PushedFile::new(folder.path().join("filter.json"), &[first]);
        let bootstrap = match delivery {
            Delivery::Ecds => {
                let filter = bootstrap::discovered_filter(&configuration);
                let listener = bootstrap::listener(&filter, &surroundings, &folder.path().join("access.log"));
                bootstrap::bootstrap(&clusters, &Listeners::Static(&[listener]), &surroundings.statistics)
            }
            Delivery::Lds => bootstrap::bootstrap(&clusters, &Listeners::Lds(&configuration), &surroundings.statistics),
            Delivery::Native => {
                let listener = bootstrap::native_listener(&configuration, &folder.path().join("access.log"));
                bootstrap::bootstrap(&clusters, &Listeners::Static(&[listener]), &surroundings.statistics)
            }
        };
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
        let envoy = Envoy::start(binary, folder.path(), &file).await;
        let address = envoy.listener(NAME).await;
        let pushed = Mutex::new(pushed);
        Self { envoy, address, delivery, surroundings, configuration, clusters, pushed, upstreams, folder }
    }

    /// Pushes another document for the filter.
    ///
    /// # Panics
    /// If its failover clusters differ. Use [`take`](Self::take), which pushes them first.
    pub fn configure(&self, document: &Value) {
        let mut next = self.pushed().clone();
        let document = with_failover(&self.surroundings, document, &mut next);
        assert_eq!(next.failover, self.pushed().failover, "other failover clusters");
        self.configuration.push(&[resource(self.delivery, &self.surroundings, &self.folder, &document)]);
    }

    /// Pushes another document by ECDS (or native routes), and waits until every worker thread has it. It must differ from
    /// the one before.
    pub async fn take(&self, document: &Value) {
        let reloads = match self.delivery {
            Delivery::Native => format!("http.{NAME}.rds.{NAME}.config_reload"),
            Delivery::Ecds | Delivery::Lds => format!("extension_config_discovery.http_filter.{NAME}.config_reload"),
        };
        let before = self.envoy.stat(&reloads).await;
        self.bring_failover(document).await;
        self.configure(document);
        self.envoy.wait_for_stat(&reloads, before + 1).await;
    }

    /// Adds the failover clusters of a configuration, if they are new, and waits until Envoy has them. The previous ones
    /// stay for requests in flight.
    async fn bring_failover(&self, document: &Value) {
        let mut next = self.pushed().clone();
        with_failover(&self.surroundings, document, &mut next);
        if next.failover == self.pushed().failover {
            return;
        }
        let taken = self.envoy.stat(CLUSTERS_TAKEN).await;
        let both = {
            let mut pushed = self.pushed();
            let is_gone = |old: &&Value| next.failover.iter().all(|new| new["name"] != old["name"]);
            let old: Vec<Value> = pushed.failover.iter().filter(is_gone).cloned().collect();
            pushed.failover = next.failover;
            [pushed.all(), old].concat()
        };
        self.clusters.push(&both);
        self.envoy.wait_for_stat(CLUSTERS_TAKEN, taken + 1).await;
    }

    fn pushed(&self) -> MutexGuard<'_, Pushed> {
        self.pushed.lock().expect("no panic while pushing")
    }

    /// Pushes these clusters and the failover clusters.
    fn push_clusters(&self, versions: Vec<Value>) {
        let mut pushed = self.pushed();
        pushed.versions = versions;
        self.clusters.push(&pushed.all());
    }

    /// Starts another upstream and pushes its cluster.
    pub async fn add_upstream(&mut self, name: &str) {
        let Backend { name, clusters: names } = Backend::of(name);
        self.upstreams.push((Upstream::start(&name).await, names));
        self.push_clusters(clusters(&self.upstreams));
    }

    /// Pushes additional clusters, and keeps those of the upstreams.
    pub fn add_clusters(&self, more: &[Value]) {
        let mut all = clusters(&self.upstreams);
        all.extend_from_slice(more);
        self.push_clusters(all);
    }

    /// The same, and waits until Envoy has accepted them. They must differ from the previous ones.
    pub async fn bring_clusters(&self, more: &[Value]) {
        if more.is_empty() {
            return;
        }
        let taken = self.envoy.stat(CLUSTERS_TAKEN).await;
        self.add_clusters(more);
        self.envoy.wait_for_stat(CLUSTERS_TAKEN, taken + 1).await;
    }

    /// Keeps only the clusters of these upstreams, and waits until the others are removed.
    pub async fn keep_clusters(&self, upstreams: &[&str]) {
        let kept = self.upstreams.iter().filter(|(upstream, _)| upstreams.contains(&upstream.name()));
        self.push_clusters(clusters(kept));
        for (upstream, names) in &self.upstreams {
            let endpoints = upstreams.contains(&upstream.name()).then_some(1);
            for name in names {
                self.envoy.wait_for_endpoints(name, endpoints).await;
            }
        }
    }

    /// The upstream of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn upstream(&self, name: &str) -> &Upstream {
        self.upstreams().find(|upstream| upstream.name() == name).unwrap_or_else(|| panic!("no upstream {name}"))
    }

    /// The upstream behind a cluster.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn upstream_of(&self, cluster: &str) -> &Upstream {
        let found = self.upstreams.iter().find(|(_, clusters)| clusters.iter().any(|name| name == cluster));
        found.map_or_else(|| panic!("no upstream behind {cluster}"), |(upstream, _)| upstream)
    }

    /// All upstreams.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.upstreams.iter().map(|(upstream, _)| upstream)
    }

    /// The access log's entry of the request with this x-test-id.
    pub async fn access_log(&self, id: &str) -> Value {
        self.access_logs(id, 1).await.remove(0)
    }

    /// The access log's entries of the requests with this x-test-id. Waits until there are `count`.
    pub async fn access_logs(&self, id: &str, count: usize) -> Vec<Value> {
        let path = self.folder.path().join("access.log");
        wait::until(&format!("the access log's entries of {id}"), async || {
            let log = fs::read_to_string(&path).ok()?;
            let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let entries: Vec<_> = entries.filter(|entry| entry["id"] == id).collect();
            (entries.len() >= count).then_some(entries)
        })
        .await
    }
}

fn clusters<'u>(upstreams: impl IntoIterator<Item = &'u (Upstream, Vec<String>)>) -> Vec<Value> {
    let clusters = upstreams.into_iter().flat_map(|(upstream, names)| names.iter().map(move |name| (upstream, name)));
    clusters.map(|(upstream, name)| bootstrap::cluster(name, upstream.address())).collect()
}

/// Sets the failover field of a configuration if the Envoy has such clusters, and stores them.
fn with_failover(surroundings: &Surroundings, document: &Value, pushed: &mut Pushed) -> Value {
    let mut document = document.clone();
    if let Some(failover) = surroundings.failover {
        // A rejected configuration is not in force, so the clusters stay.
        pushed.failover = failover.clusters(&document).unwrap_or_else(|| std::mem::take(&mut pushed.failover));
        document["clusters"]["failover"] = json!(true);
    }
    document
}

fn resource(delivery: Delivery, surroundings: &Surroundings, folder: &TempDir, document: &Value) -> Value {
    let wasm = binaries::wasm();
    match delivery {
        Delivery::Ecds => bootstrap::ecds_resource(&wasm, document),
        Delivery::Native => bootstrap::rds_resource(document),
        Delivery::Lds => {
            let filter = bootstrap::inline_filter(&wasm, document);
            let log = folder.path().join("access.log");
            bootstrap::lds_resource(bootstrap::listener(&filter, surroundings, &log))
        }
    }
}
