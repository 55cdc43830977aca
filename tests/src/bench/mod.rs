//! A proxy under load whose cost per request can be compared with that of other configurations.
//!
//! One Envoy process with one worker and a listener for each [`Case`]: processes differ from one another by microseconds, listeners
//! of one process do not. Envoy runs on one core; clients and upstreams ([`EventLoop`]) are one thread on another core, which
//! spends less on a request than the proxy does. The second case without a filter shows what else disturbs the measurement.

mod amount;
pub mod cores;
mod event_loop;
mod wire;

use std::{
    fs, mem,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use amount::Amount;
pub use event_loop::{Clients, EventLoop, Pace, Traffic};
pub use wire::Answer;

use crate::{
    binaries::EnvoyBinary,
    bootstrap::{self, Listeners},
    canary::cluster_name,
    client::Request,
    envoy::Envoy,
    pushed::PushedFile,
};
use cores::Cores;

/// Enough that the worker never sleeps.
const CONNECTIONS: usize = 16;
/// What is sent before each measurement, so that the case's code and data are in the caches.
const LEAD_REQUESTS: u64 = 200;

/// A chain of HTTP filters and routes with a listener of its own, and the request that is sent to it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name of the listener and of the VM of its filters.
    pub name: String,
    /// The HTTP filters before the router.
    pub filters: Vec<Value>,
    /// The routes, for every host.
    pub routes: Vec<Value>,
    /// The request.
    pub request: Request,
    /// The upstream that must answer it.
    pub served_by: &'static str,
}

/// What a saturated worker did.
#[derive(Debug, Clone, Copy)]
pub struct Saturated {
    /// Processor time of the proxy per request, in microseconds.
    pub micros: f64,
    /// Processor time of clients and upstreams per request, in microseconds; the proxy is saturated only where it takes more.
    pub load_micros: f64,
    /// Requests per second.
    pub per_second: f64,
    /// The share of the time that the proxy ran; less than 1 where it waited for its clients or for its core.
    pub busy: f64,
}

/// The proxy with a listener for each case, and its clients and upstreams.
#[derive(Debug)]
pub struct Bench {
    /// The proxy.
    pub envoy: Envoy,
    event_loop: EventLoop,
    lanes: Vec<Lane>,
    _folder: TempDir,
}

/// A case and its clients.
#[derive(Debug)]
struct Lane {
    case: Case,
    address: SocketAddr,
    clients: Clients,
}

impl Bench {
    /// Starts Envoy on its core, with one worker, a listener for each case, upstreams of these names, and more clusters. The
    /// calling thread must be on the other core: it is the event loop.
    ///
    /// # Panics
    /// If Envoy does not start.
    pub async fn start(binary: &EnvoyBinary, cores: Cores, upstreams: &[&str], more: &[Value], cases: &[Case]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut event_loop = EventLoop::new();
        let mut cluster = |name: &&str| bootstrap::cluster(&cluster_name(name), event_loop.listen(name));
        let mut clusters: Vec<_> = upstreams.iter().map(&mut cluster).collect();
        clusters.extend_from_slice(more);
        let clusters = PushedFile::new(folder.path().join("cds.json"), &clusters);
        let listeners: Vec<_> = cases.iter().map(listener).collect();
        let bootstrap = bootstrap::bootstrap(&clusters, &Listeners::Static(&listeners), &Value::Null);
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
        let starting = cores.proxy_core();
        let envoy = Envoy::start_with(binary, folder.path(), &file, 1).await;
        drop(starting);
        let mut lanes = Vec::new();
        for case in cases {
            let address = envoy.listener(&case.name).await;
            let clients = event_loop.connect(address, CONNECTIONS, &case.request, case.served_by);
            lanes.push(Lane { case: case.clone(), address, clients });
        }
        Self { envoy, event_loop, lanes, _folder: folder }
    }

    /// The case of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn case(&self, name: &str) -> usize {
        self.lanes.iter().position(|lane| lane.case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    /// The answer of a case to another request, on a connection of its own.
    ///
    /// # Panics
    /// If there is none.
    pub fn ask(&mut self, case: usize, request: &Request) -> Answer {
        self.event_loop.ask(self.lanes[case].address, request)
    }

    /// Sends as many requests as the worker can take.
    ///
    /// # Panics
    /// If one is not answered by the upstream that must answer it.
    pub fn saturate(&mut self, case: usize, amount: Amount) -> Saturated {
        self.send(case, Amount { requests: LEAD_REQUESTS.min(amount.requests), ..amount }, Pace::Saturate);
        let (begin, before, load_before) = (Instant::now(), self.envoy.processor_time(), processor_time_of_thread());
        let traffic = self.send(case, amount, Pace::Saturate);
        let (took, spent) = (begin.elapsed(), self.envoy.processor_time() - before);
        let load = processor_time_of_thread() - load_before;
        Saturated {
            micros: spent.as_secs_f64() * 1e6 / traffic.requests as f64,
            load_micros: load.as_secs_f64() * 1e6 / traffic.requests as f64,
            per_second: traffic.requests as f64 / took.as_secs_f64(),
            busy: spent.as_secs_f64() / took.as_secs_f64(),
        }
    }

    /// Sends requests when they are due, whether or not those before are answered: the time from when each was due until its
    /// answer, in microseconds.
    ///
    /// # Panics
    /// If one is not answered by the upstream that must answer it.
    pub fn pace(&mut self, case: usize, amount: Amount, pace: Pace) -> Vec<f64> {
        self.send(case, amount, pace).waits
    }

    fn send(&mut self, case: usize, amount: Amount, pace: Pace) -> Traffic {
        let lane = &mut self.lanes[case];
        let traffic = self.event_loop.send(&mut lane.clients, amount, pace, || false);
        assert!(traffic.failures.is_empty(), "{}: {}", lane.case.name, traffic.failures[0]);
        traffic
    }

    /// Sends requests at a steady pace from another thread until `work` has ended. Both may use the same core, so the event loop
    /// sleeps between its turns.
    ///
    /// # Panics
    /// If that thread panics.
    pub async fn during<T>(
        &mut self,
        case: usize,
        per_second: f64,
        work: impl AsyncFnOnce(&Envoy) -> T,
    ) -> (T, Traffic) {
        let stop = Arc::new(AtomicBool::new(false));
        let mut event_loop = mem::replace(&mut self.event_loop, EventLoop::new());
        let mut clients = mem::take(&mut self.lanes[case].clients);
        let stopped = Arc::clone(&stop);
        let load = thread::spawn(move || {
            let amount = Amount { time: Duration::MAX, requests: u64::MAX };
            let pace = Pace::Steady { per_second, spins: false };
            let traffic = event_loop.send(&mut clients, amount, pace, || stopped.load(Ordering::Relaxed));
            (event_loop, clients, traffic)
        });
        let result = work(&self.envoy).await;
        stop.store(true, Ordering::Relaxed);
        let (event_loop, clients, traffic) = load.join().expect("the load does not panic");
        self.event_loop = event_loop;
        self.lanes[case].clients = clients;
        (result, traffic)
    }
}

/// The time that the calling thread has spent on a processor.
fn processor_time_of_thread() -> Duration {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").expect("the schedule of this thread");
    let nanoseconds = schedule.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds on a processor"))
}

/// A listener whose filters have a VM of their own.
fn listener(case: &Case) -> Value {
    let mut filters = case.filters.clone();
    for filter in &mut filters {
        if let Some(vm) = filter.pointer_mut("/typed_config/config/vm_config/vm_id") {
            *vm = json!(case.name);
        }
    }
    bootstrap::listener_of(&case.name, filters, ("route_config", bootstrap::routes(&json!(case.routes))), &[])
}
