//! What the filter, the native filters that make Envoy choose the route anew, and the guard cost: processor time of
//! Envoy's one worker thread for each request, side by side in one Envoy, in rounds of random order.
//!
//! `ROUNDS` and `REQUESTS` (for each case in each round) make it shorter or longer. Every answer is asserted.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::Duration,
};

use e2e::{
    binaries,
    bootstrap::{self, Listeners, guard, inline_filter, native_route, refresher, steered_route},
    canary::cluster_name,
    client::{self, Protocol, Request},
    envoy::Envoy,
    load::Load,
    pushed::PushedFile,
    upstream::Upstream,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ROUNDS: u64 = 60;
const REQUESTS: u64 = 1_000;
/// So many that the worker seldom sleeps: waking up costs more than what is measured.
const CONNECTIONS: u64 = 32;
const WORKERS: u8 = 1;

/// Native filters without an effect of their own that make Envoy choose the route anew, as they are named in `typed_config`.
const REFRESHERS: [(&str, &str); 7] = [
    ("rbac", "rbac.v3.RBAC"),
    ("on_demand", "on_demand.v3.OnDemand"),
    ("header_mutation", "header_mutation.v3.HeaderMutation"),
    ("stateful_session", "stateful_session.v3.StatefulSession"),
    ("header_to_metadata", "header_to_metadata.v3.Config"),
    ("cors", "cors.v3.Cors"),
    ("fault", "fault.v3.HTTPFault"),
];
/// Of a request for a version whose cluster does not exist.
const MISSING: &str = "x-missing";

/// A chain of HTTP filters with a listener of its own.
struct Case {
    name: String,
    filters: Vec<Value>,
    /// Else it only has to move a request.
    is_measured: bool,
}

impl Case {
    /// The filter, and what stands behind it, in a VM of their own.
    fn of(name: String, behind: impl IntoIterator<Item = Value>) -> Self {
        let mut filters = vec![inline_filter(&binaries::wasm(), &document())];
        filters.extend(behind);
        for filter in &mut filters {
            if let Some(vm) = filter.pointer_mut("/typed_config/config/vm_config/vm_id") {
                *vm = json!(name);
            }
        }
        Self { name, filters, is_measured: true }
    }

    fn request(&self) -> Request {
        let get = Request::new("reviews", "/");
        // Without the filter the client has to say itself which cluster is meant.
        if self.filters.is_empty() { get.header("x-canary-cluster", cluster_name("v2")) } else { get }
    }

    fn is_guarded(&self) -> bool {
        self.filters.iter().any(|filter| filter["name"] == "guard")
    }
}

/// Everything to v2, or a version whose cluster does not exist; v1 where that cannot serve.
fn document() -> Value {
    let to = |subset: &str| json!([{"destination": {"host": "reviews", "subset": subset}}]);
    json!({
        "virtualServices": [{"hosts": ["reviews"], "http": [
            {"match": [{"headers": {MISSING: {"exact": "yes"}}}], "route": to("v3")},
            {"route": to("v2")},
        ]}],
        "services": [{"host": "reviews", "ports": [9080]}],
        "policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}],
    })
}

fn native(name: &str, kind: &str) -> Value {
    json!({
        "name": format!("envoy.filters.http.{name}"),
        "typed_config": {"@type": format!("type.googleapis.com/envoy.extensions.filters.http.{kind}")},
    })
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case { name: "no filter".to_owned(), filters: Vec::new(), is_measured: true },
        Case::of("filter".to_owned(), []),
    ];
    cases.extend(REFRESHERS.map(|(name, kind)| Case::of(format!("filter, {name}"), [native(name, kind)])));
    let chosen = refresher();
    let guarded = |(name, kind): (&str, &str)| {
        let native = native(name, kind);
        let is_measured = native == chosen;
        Case { is_measured, ..Case::of(format!("filter, {name}, guard"), [native, guard("learned")]) }
    };
    cases.extend(REFRESHERS.map(guarded));
    cases
}

/// Processor time for a request of a case, in microseconds.
async fn measure(envoy: &Envoy, address: SocketAddr, get: &Request, upstream: &Upstream, requests: u64) -> f64 {
    let before = envoy.worker_time();
    let outcome = Load::start(address, Protocol::Http1, get, CONNECTIONS, requests).finish().await;
    let spent = envoy.worker_time() - before;
    assert_eq!((outcome.failures, outcome.served_by.get("v2")), (Vec::new(), Some(&requests)));
    upstream.forget();
    spent.as_secs_f64() * 1e6 / requests as f64
}

async fn assert_guarded(case: &Case, address: SocketAddr) {
    let get = Request::new("reviews", "/").header(MISSING, "yes");
    let answer = client::send(address, Protocol::Http1, &get).await;
    assert_eq!(
        (answer.status, answer.served_by.as_str()),
        (200, "v1"),
        "{}: the first for a missing version",
        case.name
    );
}

/// The value that so many hundredths of the values do not exceed.
fn quantile(values: &[f64], hundredths: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * hundredths / 100]
}

fn number(variable: &str, default: u64) -> u64 {
    let number = env::var(variable).ok().filter(|number| !number.is_empty());
    number.map_or(default, |number| number.parse().unwrap_or_else(|_| panic!("{variable}={number} is no number")))
}

async fn run() {
    let (rounds, requests) = (number("ROUNDS", ROUNDS), number("REQUESTS", REQUESTS));
    let binary = binaries::envoys().unwrap_or_else(|error| panic!("{error}")).remove(0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (v1, v2) = (Upstream::start("v1").await, Upstream::start("v2").await);
    let clusters = [&v1, &v2].map(|upstream| bootstrap::cluster(&cluster_name(upstream.name()), upstream.address()));
    let clusters = PushedFile::new(folder.path().join("cds.json"), &clusters);
    let cases = cases();
    let routes = [steered_route(), native_route()];
    let listener = |case: &Case| {
        bootstrap::listener_of(
            &case.name,
            case.filters.clone(),
            ("route_config", bootstrap::routes(&json!(routes))),
            &[],
        )
    };
    let listeners: Vec<_> = cases.iter().map(listener).collect();
    let file = folder.path().join("bootstrap.json");
    let bootstrap = bootstrap::bootstrap(&clusters, &Listeners::Static(&listeners), &Value::Null);
    fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
    let envoy = Envoy::start_with(&binary, folder.path(), &file, WORKERS).await;
    let mut addresses = Vec::new();
    for case in &cases {
        let address = envoy.listener(&case.name).await;
        if case.is_guarded() {
            assert_guarded(case, address).await;
        }
        // So that nothing is done for the first time while it is measured.
        if case.is_measured {
            measure(&envoy, address, &case.request(), &v2, requests.min(500)).await;
        }
        addresses.push(address);
    }
    let measured = cases.iter().zip(addresses).filter(|(case, _)| case.is_measured);
    let cases: Vec<_> = measured.collect();
    let mut spent = vec![Vec::new(); cases.len()];
    let random = RandomState::new();
    for round in 0..rounds {
        let mut order: Vec<_> = (0..cases.len()).collect();
        order.sort_by_key(|case| random.hash_one((round, case)));
        for case in order {
            let (chain, address) = cases[case];
            spent[case].push(measure(&envoy, address, &chain.request(), &v2, requests).await);
        }
    }
    println!(
        "Envoy {}, {rounds} rounds of {requests} requests; microseconds of processor time for a request",
        binary.version
    );
    println!("{:<44} {:>7}   {:>22}   {:>22}", "", "median", "over no filter (p25–p75)", "over filter (p25–p75)");
    for ((case, _), times) in cases.iter().zip(&spent) {
        let over = |base: &[f64]| {
            let over: Vec<_> = times.iter().zip(base).map(|(time, base)| time - base).collect();
            format!("{:+.1} ({:+.1}…{:+.1})", quantile(&over, 50), quantile(&over, 25), quantile(&over, 75))
        };
        println!("{:<44} {:>7.1}   {:>22}   {:>22}", case.name, quantile(times, 50), over(&spent[0]), over(&spent[1]));
    }
}

fn main() {
    // A hang must not go on for ever.
    let longest = Duration::from_secs(1_800);
    let runtime = Runtime::new().expect("a tokio runtime");
    runtime.block_on(async { tokio::time::timeout(longest, run()).await }).expect("done in time");
}
