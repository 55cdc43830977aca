//! Filters and routes side by side in one Envoy, and what the worker thread spends on a request of each, in rounds of random
//! order.
//!
//! One process, so that all cases have the same allocator, clock frequency and upstreams, and what disturbs one disturbs its
//! neighbours of the round; a listener and a VM for each case, so that none runs another's code. What a case keeps in memory and no
//! other request touches costs the others nothing: the second case without a filter shows it.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use fastrand::Rng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    binaries::EnvoyBinary,
    bootstrap::{self, Listeners},
    canary::cluster_name,
    client::{Connection, Protocol, Request},
    envoy::Envoy,
    open_loop,
    pushed::PushedFile,
    upstream::Upstream,
};

/// So many that the worker seldom sleeps: waking up costs more than what is measured.
const CONNECTIONS: usize = 32;
/// The tenth of a slice that is sent before it is measured, so that caches are as warm as in a proxy with one filter.
const LEAD: u64 = 10;
/// A slice of a case whose requests cost more than this, in microseconds, has so many the fewer.
const DEAR: f64 = 200.0;
const FEWEST: u64 = 50;

/// A number from the environment.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn number(variable: &str, default: u64) -> u64 {
    let number = env::var(variable).ok().filter(|number| !number.is_empty());
    number.map_or(default, |number| number.parse().unwrap_or_else(|_| panic!("{variable}={number} is no number")))
}

/// A chain of HTTP filters and routes, with a listener of its own, and the request that is sent to it over and over.
#[derive(Debug, Clone)]
pub struct Case {
    /// Of the listener, and of the VM of its filters.
    pub name: String,
    /// Before the router.
    pub filters: Vec<Value>,
    /// For every host.
    pub routes: Vec<Value>,
    /// The request.
    pub request: Request,
    /// The upstream that has to answer it.
    pub served_by: &'static str,
}

/// The cases in a running Envoy.
#[derive(Debug)]
pub struct Field {
    /// The proxy.
    pub envoy: Envoy,
    lanes: Vec<Lane>,
    _upstreams: Vec<Upstream>,
    _folder: TempDir,
}

/// A case with its connections.
#[derive(Debug)]
struct Lane {
    case: Arc<Case>,
    address: SocketAddr,
    connections: Vec<Connection>,
    /// How many requests a slice has.
    requests: u64,
}

impl Field {
    /// Starts an Envoy of one worker, whose time is that of the requests, with a listener for each case and upstreams of these
    /// names.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start(binary: &EnvoyBinary, upstreams: &[&str], cases: Vec<Case>) -> Self {
        Self::start_with(binary, upstreams, cases, 1).await
    }

    /// The same with so many workers.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start_with(binary: &EnvoyBinary, upstreams: &[&str], cases: Vec<Case>, workers: u8) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut running = Vec::new();
        for name in upstreams {
            running.push(Upstream::start(name).await);
        }
        let cluster = |upstream: &Upstream| bootstrap::cluster(&cluster_name(upstream.name()), upstream.address());
        let clusters: Vec<_> = running.iter().map(cluster).collect();
        let clusters = PushedFile::new(folder.path().join("cds.json"), &clusters);
        let listeners: Vec<_> = cases.iter().map(listener).collect();
        let bootstrap = bootstrap::bootstrap(&clusters, &Listeners::Static(&listeners), &Value::Null);
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
        let envoy = Envoy::start_with(binary, folder.path(), &file, workers).await;
        let mut lanes = Vec::new();
        for case in cases {
            let address = envoy.listener(&case.name).await;
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(Connection::open(address, Protocol::Http1).await.expect("a connection"));
            }
            lanes.push(Lane { case: Arc::new(case), address, connections, requests: 0 });
        }
        Self { envoy, lanes, _upstreams: running, _folder: folder }
    }

    /// Where the case of this name listens.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn address(&self, name: &str) -> SocketAddr {
        self.lanes.iter().find(|lane| lane.case.name == name).unwrap_or_else(|| panic!("no case {name}")).address
    }

    /// Sends `requests` to each case, or as many as take no longer than as many of those that are not dear, so that the VMs have
    /// compiled what they will compile; from what that costs it sets each case's slices, of at most `slice` requests.
    pub async fn warm_up(&mut self, requests: u64, slice: u64) {
        for lane in &mut self.lanes {
            lane.requests = FEWEST;
            let dear = (lane.measure(&self.envoy).await / DEAR).max(1.0);
            lane.send((requests as f64 / dear) as u64).await;
            let dear = (lane.measure(&self.envoy).await / DEAR).max(1.0);
            lane.requests = ((slice as f64 / dear) as u64).max(FEWEST.min(slice));
        }
    }

    /// Requests in a second that the case of this name answers while all of its connections ask all the time.
    ///
    /// # Panics
    /// If there is no such case.
    pub async fn saturation(&mut self, name: &str, requests: u64) -> u64 {
        let begin = Instant::now();
        self.lane(name).send(requests).await;
        (requests as f64 / begin.elapsed().as_secs_f64()) as u64
    }

    /// What requests at a `rate` in a second wait for the case of this name, in microseconds.
    ///
    /// # Panics
    /// If there is no such case.
    pub async fn waits(&mut self, name: &str, rate: u64, requests: u64) -> Vec<f64> {
        let lane = self.lane(name);
        open_loop::send(&mut lane.connections, &lane.case, rate, requests).await
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        self.lanes.iter_mut().find(|lane| lane.case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    /// Microseconds of processor time for a request, by case in their order, and by round.
    pub async fn rounds(&mut self, rounds: u64) -> Vec<Vec<f64>> {
        let mut spent = vec![Vec::new(); self.lanes.len()];
        let mut random = Rng::with_seed(RandomState::new().hash_one(rounds));
        let mut order: Vec<_> = (0..self.lanes.len()).collect();
        for _ in 0..rounds {
            random.shuffle(&mut order);
            for lane in &order {
                spent[*lane].push(self.lanes[*lane].measure(&self.envoy).await);
            }
        }
        spent
    }
}

impl Lane {
    /// Microseconds of processor time for a request.
    async fn measure(&mut self, envoy: &Envoy) -> f64 {
        self.send(self.requests / LEAD).await;
        let before = envoy.worker_time();
        self.send(self.requests).await;
        (envoy.worker_time() - before).as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Sends so many requests, one after the other on each connection.
    ///
    /// # Panics
    /// If one is not answered by the upstream that has to.
    async fn send(&mut self, requests: u64) {
        let left = Arc::new(AtomicU64::new(requests));
        let mut clients = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (left, case) = (Arc::clone(&left), Arc::clone(&self.case));
            clients.spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    case.ask(&mut connection).await;
                }
                connection
            });
        }
        self.connections = clients.join_all().await;
    }
}

impl Case {
    /// Sends its request.
    ///
    /// # Panics
    /// If it is not answered by the upstream that has to.
    pub(crate) async fn ask(&self, connection: &mut Connection) {
        let answer = connection.send(&self.request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        let (status, served_by) = (answer.status, answer.served_by.as_str());
        assert_eq!((status, served_by), (200, self.served_by), "{}: {answer:?}", self.name);
    }
}

/// A listener whose filters have a VM of the case's own.
fn listener(case: &Case) -> Value {
    let mut filters = case.filters.clone();
    for filter in &mut filters {
        if let Some(vm) = filter.pointer_mut("/typed_config/config/vm_config/vm_id") {
            *vm = json!(case.name);
        }
    }
    bootstrap::listener_of(&case.name, filters, ("route_config", bootstrap::routes(&json!(case.routes))), &[])
}
