//! What the filter, the native filters that make Envoy choose the route anew, and the guard cost: processor time of
//! Envoy's one worker thread for each request, side by side in one Envoy, in rounds of random order.
//!
//! `ROUNDS` and `REQUESTS` (for each case in each round) make it shorter or longer. Every answer is asserted.

use std::time::Duration;

use e2e::{
    binaries::{self, EnvoyBinary},
    bootstrap::{guard, inline_filter, native_route, refresher, steered_route},
    canary::cluster_name,
    client::{self, Protocol, Request},
    rounds::{Case, Field, number},
    statistics::{Spread, differences},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ROUNDS: u64 = 60;
const REQUESTS: u64 = 1_000;
/// So that nothing is done for the first time while it is measured.
const WARM_UP: u64 = 500;
const UPSTREAMS: [&str; 2] = ["v1", "v2"];

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

/// The filter, and what stands behind it.
fn behind(name: String, behind: impl IntoIterator<Item = Value>) -> Case {
    let mut filters = vec![inline_filter(&binaries::wasm(), &document())];
    filters.extend(behind);
    case(name, filters, Request::new("reviews", "/"))
}

fn case(name: String, filters: Vec<Value>, request: Request) -> Case {
    Case { name, filters, routes: vec![steered_route(), native_route()], request, served_by: "v2" }
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

/// The filter with each refresher.
fn refreshed() -> Vec<Case> {
    REFRESHERS.map(|(name, kind)| behind(format!("filter, {name}"), [native(name, kind)])).into()
}

/// The same with a guard.
fn guarded((name, kind): (&str, &str)) -> Case {
    behind(format!("filter, {name}, guard"), [native(name, kind), guard("learned")])
}

fn measured() -> Vec<Case> {
    // Without the filter the client has to say itself which cluster is meant.
    let named = Request::new("reviews", "/").header("x-canary-cluster", cluster_name("v2"));
    let mut cases = vec![case("no filter".to_owned(), Vec::new(), named), behind("filter".to_owned(), [])];
    cases.extend(refreshed());
    cases.extend(REFRESHERS.into_iter().filter(|(name, kind)| native(name, kind) == refresher()).map(guarded));
    cases
}

/// The guard moves the first request for a missing version, whichever native filter refreshes the route.
async fn assert_guarded(binary: &EnvoyBinary) {
    let cases = REFRESHERS.map(guarded);
    let field = Field::start(binary, &UPSTREAMS, cases.to_vec()).await;
    for case in cases {
        let get = case.request.header(MISSING, "yes");
        let answer = client::send(field.address(&case.name), Protocol::Http1, &get).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{}", case.name);
    }
}

async fn run() {
    let (rounds, requests) = (number("ROUNDS", ROUNDS), number("REQUESTS", REQUESTS));
    let binary = binaries::envoys().unwrap_or_else(|error| panic!("{error}")).remove(0);
    assert_guarded(&binary).await;
    let cases = measured();
    let mut field = Field::start(&binary, &UPSTREAMS, cases.clone()).await;
    field.warm_up(requests.min(WARM_UP), requests).await;
    let spent = field.rounds(rounds).await;
    println!(
        "Envoy {}, {rounds} rounds of {requests} requests; microseconds of processor time for a request",
        binary.version
    );
    println!("{:<44} {:>7}   {:>22}   {:>22}", "", "median", "over no filter (p25–p75)", "over filter (p25–p75)");
    for (case, times) in cases.iter().zip(&spent) {
        let over = |base: &[f64]| {
            let Spread { median, p25, p75 } = Spread::of(&differences(times, base));
            format!("{median:+.1} ({p25:+.1}…{p75:+.1})")
        };
        let median = Spread::of(times).median;
        println!("{:<44} {median:>7.1}   {:>22}   {:>22}", case.name, over(&spent[0]), over(&spent[1]));
    }
}

fn main() {
    // A hang must not go on for ever.
    let longest = Duration::from_secs(1_800);
    let runtime = Runtime::new().expect("a tokio runtime");
    runtime.block_on(async { tokio::time::timeout(longest, run()).await }).expect("done in time");
}
