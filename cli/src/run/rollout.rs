//! Brings a configuration into force in a running Envoy: make before break.

use std::{collections::BTreeMap, fmt, io, net::Ipv4Addr, path::Path, time::Duration};

use serde_json::Value;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{admin::Admin, envoy::Files, readiness::Readiness};
use crate::{
    address::HostPort,
    bootstrap::{self, FILTER_NAME, Plan, ROUTES_STATISTICS, Serving, Upstream, Version},
    echo::{Echo, Server},
};

/// How long Envoy may take over an update.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// Statistics of the subscription to clusters.
const CLUSTERS: &str = "cluster_manager.cds";

/// Why a configuration is not in force.
#[derive(Debug)]
pub(super) enum Failure {
    /// Envoy refused it; its log, shown as it comes, says why.
    Refused(&'static str),
    /// Envoy took longer than 10 s.
    TimedOut(&'static str),
    /// An echo server or a file.
    Io(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(what) => write!(f, "Envoy refused its {what}; its log above says why"),
            Self::TimedOut(what) => write!(f, "Envoy did not take its {what} within {LIMIT:?}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An echo server that runs in this process; dropping it ends it, answering first what is under way.
#[derive(Debug)]
pub(super) struct EchoServer {
    /// Where Envoy finds it.
    pub(super) address: HostPort,
    _stop: oneshot::Sender<()>,
}

impl EchoServer {
    /// Starts one on `port`, or on a free one if that is 0.
    pub(super) async fn start(site: &Site, port: u16, service: &str, version: &str) -> io::Result<Self> {
        let echo = Echo { service: service.to_owned(), version: version.to_owned(), ..Echo::default() };
        let server = Server::bind(&format!("{}:{port}", site.listen), echo).await?;
        let address = HostPort::new(&site.host, server.address().port());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.serve(async move { drop(stopped.await) }));
        Ok(Self { address, _stop: stop })
    }
}

/// Where the echo servers of this process are.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The address that they listen on.
    pub(super) listen: Ipv4Addr,
    /// The host by which Envoy finds them.
    pub(super) host: String,
}

impl Site {
    /// Only this machine reaches them.
    pub(super) fn loopback() -> Self {
        Self { listen: Ipv4Addr::LOCALHOST, host: Ipv4Addr::LOCALHOST.to_string() }
    }
}

/// A version and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) version: Version,
    /// `None` where the version's clusters are left out.
    pub(super) by: Option<HostPort>,
    /// Whether that is an echo server of ours.
    pub(super) echo: bool,
}

/// What Envoy runs, and how it is brought to run something else.
#[derive(Debug)]
pub(super) struct Rollout<'a> {
    files: &'a Files,
    wasm: &'a Path,
    upstreams: &'a [Upstream],
    site: Site,
    /// Which of the upstreams take requests; without it, all do.
    readiness: Option<Readiness>,
    /// Versions of the three files, counted up with each write.
    clusters_version: u64,
    routes_version: u64,
    filter_version: u64,
    /// The filter's configuration in its file.
    document: String,
    /// How many clusters, routes and filter configurations Envoy had refused before the first were written.
    refused: [u64; 3],
    /// Echo servers by the version that they serve as.
    echo_servers: BTreeMap<String, EchoServer>,
    /// What is in force.
    served: Vec<Served>,
    /// The failover clusters in force, by name.
    failover: BTreeMap<String, Value>,
    /// What Envoy was told last.
    routes: Value,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(files: &'a Files, wasm: &'a Path, upstreams: &'a [Upstream]) -> Self {
        Self {
            files,
            wasm,
            upstreams,
            site: Site::loopback(),
            readiness: None,
            clusters_version: 0,
            routes_version: 0,
            filter_version: 0,
            document: String::new(),
            refused: [0; 3],
            echo_servers: BTreeMap::new(),
            served: Vec::new(),
            failover: BTreeMap::new(),
            routes: Value::Null,
        }
    }

    /// For an Envoy elsewhere, which finds the echo servers at `site` and is told of no upstream that is not ready. `before` is at
    /// least as high as any version that it may have been told.
    pub(super) fn elsewhere(self, site: Site, readiness: Readiness, before: u64) -> Self {
        Self {
            site,
            readiness: Some(readiness),
            clusters_version: before,
            routes_version: before,
            filter_version: before,
            ..self
        }
    }

    /// Whether upstreams may be named that the configuration has no use for.
    pub(super) fn names_others(&self) -> bool {
        self.readiness.is_some()
    }

    /// The flags that say who serves what.
    pub(super) fn upstreams(&self) -> &[Upstream] {
        self.upstreams
    }

    /// The versions in force, and who serves them.
    pub(super) fn served(&self) -> &[Served] {
        &self.served
    }

    /// Writes the files that Envoy is to find when it starts.
    pub(super) async fn prepare(&mut self, plan: &Plan) -> Result<(), Failure> {
        self.served = self.serve(&plan.versions).await?;
        self.failover = plan.failover_clusters();
        self.write_clusters(&self.clusters())?;
        self.write_routes(plan.routes())?;
        self.document = plan.document.to_string();
        self.write_filter()?;
        Ok(())
    }

    /// Remembers what an Envoy that may be running already has refused: its counters last as long as it does.
    pub(super) async fn find(&mut self, admin: &Admin) {
        for (refused, statistics) in self.refused.iter_mut().zip([CLUSTERS, ROUTES_STATISTICS, &filter_statistics()]) {
            *refused = admin.subscription(statistics).await.unwrap_or_default().refused;
        }
    }

    /// Waits until Envoy runs what was prepared.
    pub(super) async fn started(&self, admin: &Admin) -> Result<(), Failure> {
        let [clusters, routes, filter] = self.refused;
        taken(admin, CLUSTERS, self.clusters_version, clusters, "clusters").await?;
        taken(admin, ROUTES_STATISTICS, self.routes_version, routes, "routes").await?;
        taken(admin, &filter_statistics(), self.filter_version, filter, "filter configuration").await
    }

    /// Brings a plan into force: its clusters are added, routes and filter change over, clusters that nobody names any more
    /// go. When Envoy refuses, what was in force stays so. Returns what was in force before.
    pub(super) async fn apply(&mut self, plan: &Plan, admin: &Admin) -> Result<Vec<Served>, Failure> {
        let next = self.serve(&plan.versions).await?;
        let failover = plan.failover_clusters();
        let mut both = self.clusters();
        both.extend(clusters(&next, &failover));
        let routes = self.routes.clone();
        let switched = self.switch(plan, &both, admin).await;
        let before = self.served.clone();
        let restored = match switched {
            Ok(()) => {
                self.served = next;
                self.failover = failover;
                Ok(())
            }
            Err(_) => self.push_routes(routes, admin).await,
        };
        let kept = self.push_clusters(&self.clusters(), admin).await;
        let in_use = |key: &String| self.served.iter().any(|served| served.echo && served.version.key() == *key);
        self.echo_servers.retain(|key, _| in_use(key));
        switched.and(restored).and(kept).map(|()| before)
    }

    /// Tells Envoy who is ready now. Returns what was in force before.
    pub(super) async fn follow_readiness(&mut self, admin: &Admin) -> Result<Vec<Served>, Failure> {
        let versions: Vec<Version> = self.served.iter().map(|served| served.version.clone()).collect();
        let next = self.serve(&versions).await?;
        let before = std::mem::replace(&mut self.served, next);
        if before != self.served {
            self.push_clusters(&self.clusters(), admin).await?;
        }
        Ok(before)
    }

    /// The clusters in force.
    fn clusters(&self) -> BTreeMap<String, Value> {
        clusters(&self.served, &self.failover)
    }

    async fn switch(&mut self, plan: &Plan, clusters: &BTreeMap<String, Value>, admin: &Admin) -> Result<(), Failure> {
        self.push_clusters(clusters, admin).await?;
        self.push_routes(plan.routes(), admin).await?;
        let refused = refused_so_far(admin, &filter_statistics()).await;
        let before = std::mem::replace(&mut self.document, plan.document.to_string());
        self.write_filter()?;
        let taken = taken(admin, &filter_statistics(), self.filter_version, refused, "filter configuration").await;
        if taken.is_err() {
            // An Envoy that begins anew must not find what this one refused.
            self.document = before;
            self.write_filter()?;
        }
        taken
    }

    async fn push_clusters(&mut self, clusters: &BTreeMap<String, Value>, admin: &Admin) -> Result<(), Failure> {
        let refused = refused_so_far(admin, CLUSTERS).await;
        self.write_clusters(clusters)?;
        taken(admin, CLUSTERS, self.clusters_version, refused, "clusters").await
    }

    async fn push_routes(&mut self, routes: Value, admin: &Admin) -> Result<(), Failure> {
        if routes == self.routes {
            return Ok(());
        }
        let refused = refused_so_far(admin, ROUTES_STATISTICS).await;
        self.write_routes(routes)?;
        taken(admin, ROUTES_STATISTICS, self.routes_version, refused, "routes").await
    }

    fn write_routes(&mut self, routes: Value) -> io::Result<()> {
        self.routes_version = self.routes_version.saturating_add(1);
        self.routes = routes;
        self.files.write(&self.files.routes(), &bootstrap::route_discovery(self.routes_version, &self.routes))
    }

    fn write_clusters(&mut self, clusters: &BTreeMap<String, Value>) -> io::Result<()> {
        self.clusters_version = self.clusters_version.saturating_add(1);
        let clusters: Vec<Value> = clusters.values().cloned().collect();
        self.files.write(&self.files.clusters(), &bootstrap::cluster_discovery(self.clusters_version, &clusters))
    }

    fn write_filter(&mut self) -> io::Result<()> {
        self.filter_version = self.filter_version.saturating_add(1);
        let response = bootstrap::filter_discovery(self.filter_version, self.wasm, &self.document);
        self.files.write(&self.files.filter(), &response)
    }

    /// Finds or starts who serves each version.
    async fn serve(&mut self, versions: &[Version]) -> io::Result<Vec<Served>> {
        let mut all = Vec::with_capacity(versions.len());
        for version in versions {
            let (by, echo) = match bootstrap::serving(version, self.upstreams) {
                Serving::Nobody => (None, false),
                Serving::Address(address) => match &self.readiness {
                    Some(readiness) => (readiness.address(&address), false),
                    None => (Some(address), false),
                },
                Serving::Echo => (Some(self.echo_server(version).await?), true),
            };
            all.push(Served { version: version.clone(), by, echo });
        }
        Ok(all)
    }

    async fn echo_server(&mut self, version: &Version) -> io::Result<HostPort> {
        let key = version.key();
        if let Some(echo_server) = self.echo_servers.get(&key) {
            return Ok(echo_server.address.clone());
        }
        let echo_server = EchoServer::start(&self.site, 0, version.service(), version.name()).await?;
        let address = echo_server.address.clone();
        self.echo_servers.insert(key, echo_server);
        Ok(address)
    }
}

fn filter_statistics() -> String {
    format!("extension_config_discovery.http_filter.{FILTER_NAME}")
}

/// The clusters of versions that somebody serves, and those that go on from one version to others.
fn clusters(served: &[Served], failover: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let named = served.iter().filter_map(|served| Some((served, served.by.as_ref()?)));
    let clusters = named.flat_map(|(Served { version, .. }, by)| {
        let cluster = |name: &String| bootstrap::cluster(name, by, &version.policy, Some(version.metadata()));
        version.clusters.iter().map(move |name| (name.clone(), cluster(name)))
    });
    clusters.chain(failover.iter().map(|(name, cluster)| (name.clone(), cluster.clone()))).collect()
}

async fn refused_so_far(admin: &Admin, statistics: &str) -> u64 {
    admin.subscription(statistics).await.map_or(u64::MAX, |subscription| subscription.refused)
}

/// Waits until Envoy runs `version`, or has refused more updates than before.
async fn taken(admin: &Admin, statistics: &str, version: u64, refused: u64, what: &'static str) -> Result<(), Failure> {
    let poll = async {
        loop {
            let now = admin.subscription(statistics).await.unwrap_or_default();
            if now.version == version {
                return Ok(());
            }
            if now.refused > refused {
                return Err(Failure::Refused(what));
            }
            sleep(PAUSE).await;
        }
    };
    timeout(LIMIT, poll).await.unwrap_or(Err(Failure::TimedOut(what)))
}
