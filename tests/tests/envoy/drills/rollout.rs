//! A complete rollout and its rollback, with configuration and clusters in the right order and in the wrong one.

use std::time::Duration;

use e2e::{
    canary::Canary,
    client::{Protocol, Request},
    load::{Kind, Load, Outcome},
    scale,
};
use serde_json::{Value, json};

use super::{assert_none_lost, assert_some_lost, ejections, native_split, start, start_native, with_fallback};
use crate::{
    Subject,
    documents::{document, split},
};

const CONNECTIONS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(20);
/// Requests of each kind of client after each change, at full length.
const ENOUGH: u64 = 100;
/// The requests after which a version counts as serving.
const FEW: u64 = 5;
const HOST: &str = "reviews";
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

/// One step: the clusters and the shares of the versions.
struct Step {
    clusters: &'static [&'static str],
    shares: &'static [(&'static str, u32)],
}

const fn step(clusters: &'static [&'static str], shares: &'static [(&'static str, u32)]) -> Step {
    Step { clusters, shares }
}

/// The first version with a share is the default.
const STEPS: [Step; 8] = [
    step(&["v1"], &[("v1", 100)]),
    step(&["v1", "v2"], &[("v1", 90), ("v2", 10)]),
    step(&["v1", "v2"], &[("v1", 50), ("v2", 50)]),
    step(&["v2"], &[("v2", 100)]),
    step(&["v2", "v3"], &[("v2", 50), ("v3", 50)]),
    step(&["v3"], &[("v3", 100)]),
    step(&["v3", "v1"], &[("v3", 50), ("v1", 50)]),
    step(&["v1"], &[("v1", 100)]),
];

/// What happens first in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// A cluster is added before the configuration uses it, and removed afterwards.
    Right,
    /// The configuration names a version before its cluster exists, and after it is removed.
    Wrong,
}

impl Order {
    /// The clusters while the configuration changes.
    fn between(self, before: &Step, after: &Step) -> Vec<&'static str> {
        VERSIONS
            .into_iter()
            .filter(|version| match self {
                Self::Right => before.clusters.contains(version) || after.clusters.contains(version),
                Self::Wrong => before.clusters.contains(version) && after.clusters.contains(version),
            })
            .collect()
    }
}

/// The shares as a configuration. Absent versions are not failures, so none is ejected.
fn steered(shares: &[(&str, u32)]) -> Value {
    let document = document(&[(HOST, json!([{"route": split(shares)}]))]);
    let default = shares[0].0;
    let others = VERSIONS.into_iter().rev().filter(|version| *version != default);
    let mut document = with_fallback(document, &others.chain([default]).collect::<Vec<_>>());
    document["policies"][0]["failureAccrual"] = json!({"failureRatio": 0.5});
    document
}

fn kinds() -> [Kind; 4] {
    let get = |protocol| Kind::Http(protocol, Request::new(HOST, "/reviews/1"));
    [get(Protocol::Http1), get(Protocol::Http2), Kind::Unary(HOST.to_owned()), Kind::Stream(HOST.to_owned())]
}

const NAMES: [&str; 4] = ["HTTP/1.1", "HTTP/2", "gRPC unary", "gRPC server streaming"];

/// Runs all steps under load. Returns the outcome of each kind of client.
async fn roll(
    subject: &Subject,
    proxy: &Canary,
    order: Order,
    documents: impl Fn(&[(&str, u32)]) -> Value,
) -> Vec<Outcome> {
    let enough = subject.share_of(scale::pick(ENOUGH / 4, ENOUGH));
    proxy.keep_clusters(STEPS[0].clusters).await;
    let loads = kinds().map(|kind| Load::paced(proxy.address, &kind, CONNECTIONS, PAUSE));
    go_on(&loads, enough).await;
    for steps in STEPS.windows(2) {
        let (before, after) = (&steps[0], &steps[1]);
        proxy.keep_clusters(&order.between(before, after)).await;
        go_on(&loads, enough).await;
        proxy.take(&documents(after.shares)).await;
        go_on(&loads, enough).await;
        proxy.keep_clusters(after.clusters).await;
        until_served(&loads, after.shares).await;
    }
    let mut outcomes = Vec::new();
    for load in loads {
        outcomes.push(load.stop().await);
    }
    outcomes
}

async fn go_on(loads: &[Load], enough: u64) {
    let goals: Vec<_> = loads.iter().map(|load| load.so_far().all() + enough).collect();
    for (load, goal) in loads.iter().zip(goals) {
        load.until("requests after a change", |outcome| outcome.all() >= goal).await;
    }
}

/// Waits until every version with a share has served clients of each kind.
async fn until_served(loads: &[Load], shares: &[(&str, u32)]) {
    let before: Vec<_> = loads.iter().map(Load::so_far).collect();
    for (load, before) in loads.iter().zip(before) {
        load.until(&format!("{shares:?} serve"), |outcome| {
            shares.iter().all(|(version, _)| outcome.served(version) >= before.served(version) + FEW)
        })
        .await;
    }
}

async fn costs_nothing(subject: &Subject, order: Order) {
    let canary = start(subject, &steered(STEPS[0].shares), &VERSIONS).await;
    let _log = canary.envoy.show_log_on_panic();
    for (name, outcome) in NAMES.iter().zip(roll(subject, &canary, order, steered).await) {
        assert_none_lost(&format!("rollout in {order:?} order, {name}"), &outcome);
    }
    for reason in ["consecutive-failures", "failure-ratio"] {
        assert_eq!(ejections(&canary, reason).await, 0, "{reason}");
    }
    canary.envoy.assert_no_crash();
}

pub(crate) async fn costs_nothing_in_the_right_order(subject: &Subject) {
    costs_nothing(subject, Order::Right).await;
}

pub(crate) async fn costs_nothing_in_the_wrong_order(subject: &Subject) {
    costs_nothing(subject, Order::Wrong).await;
}

pub(crate) async fn costs_requests_without_the_filter(subject: &Subject) {
    let native = start_native(subject, &native_split(STEPS[0].shares), &VERSIONS).await;
    for (name, outcome) in NAMES.iter().zip(roll(subject, &native, Order::Wrong, native_split).await) {
        assert_some_lost(&format!("rollout in wrong order, {name}"), &outcome);
    }
}
