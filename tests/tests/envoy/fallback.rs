//! A version that is not there is served by another: with the guard from the first request on.

use e2e::{
    bootstrap::{Surroundings, guard, native_route, refresher, steered_route},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{Protocol, Request},
    load::{Load, Outcome},
};
use serde_json::{Value, json};

use crate::{Subject, documents::all_to};

const REQUESTS: u64 = 2_000;
const CONNECTIONS: u64 = 4;

/// Everything to v2, and to v1 where v2 cannot serve.
fn document() -> Value {
    let mut document = all_to("v2");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]);
    document
}

/// The chain with a guard that takes `endpoints` for true, or without one.
fn surroundings(endpoints: Option<&str>, statistics: Value) -> Surroundings {
    let after = endpoints.map(|endpoints| vec![refresher(), guard(endpoints)]);
    Surroundings {
        before: Vec::new(),
        after: after.unwrap_or_default(),
        routes: vec![steered_route(), native_route()],
        statistics,
        ..Surroundings::default()
    }
}

async fn start(subject: &Subject, endpoints: Option<&str>, statistics: Value, names: &[&str]) -> Canary {
    let backends: Vec<_> = names.iter().copied().map(Backend::of).collect();
    let around = surroundings(endpoints, statistics);
    Canary::start_in(&subject.binary, Delivery::Ecds, around, &document(), &backends).await
}

fn load(canary: &Canary, protocol: Protocol) -> Load {
    Load::start(canary.address, protocol, &Request::new("reviews", "/"), CONNECTIONS, REQUESTS)
}

async fn served(canary: &Canary, protocol: Protocol) -> Outcome {
    load(canary, protocol).finish().await
}

fn assert_all_by(outcome: &Outcome, version: &str, row: &str) {
    assert_eq!(outcome.failures, [""; 0], "{row}");
    assert_eq!(outcome.served(version), REQUESTS, "{row}: {:?}", outcome.served_by);
    eprintln!("{row}: {REQUESTS} requests, 0 failed, all by {version}");
}

/// A cluster of this kind and with these endpoints under v2's name.
fn v2(cluster: Value) -> Value {
    let mut v2 = cluster;
    v2["@type"] = json!("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    v2["name"] = json!(cluster_name("v2"));
    v2
}

fn empty() -> Value {
    v2(json!({"type": "STATIC", "load_assignment": {"cluster_name": "v2", "endpoints": []}}))
}

/// Waits until v2's cluster is there.
async fn add(canary: &Canary, cluster: Value) {
    let before = canary.envoy.stat("cluster_manager.active_clusters").await;
    canary.add_clusters(&[cluster]);
    canary.envoy.wait_for_stat("cluster_manager.active_clusters", before + 1).await;
}

pub(crate) async fn a_cluster_that_does_not_exist(subject: &Subject) {
    assert_missing_is_served(subject, Protocol::Http1).await;
}

pub(crate) async fn a_cluster_that_does_not_exist_by_http2(subject: &Subject) {
    assert_missing_is_served(subject, Protocol::Http2).await;
}

async fn assert_missing_is_served(subject: &Subject, protocol: Protocol) {
    for endpoints in ["learned", "trusted", "ignored"] {
        let canary = start(subject, Some(endpoints), Value::Null, &["v1", NATIVE]).await;
        let _log = canary.envoy.show_log_on_panic();
        assert_all_by(&served(&canary, protocol).await, "v1", &format!("missing, {endpoints}, {protocol:?}"));
    }
    let canary = start(subject, None, Value::Null, &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    assert_loses_few(&served(&canary, protocol).await, &format!("missing, no guard, {protocol:?}"));
}

/// Without the guard: the first requests of every worker fail, and then one or a few after each time of passing over.
fn assert_loses_few(outcome: &Outcome, row: &str) {
    let failed = outcome.failures.len() as u64;
    assert!((1..=100).contains(&failed), "{row}: {failed} failed");
    assert_eq!(outcome.served("v1"), REQUESTS - failed, "{row}");
    eprintln!("{row}: {REQUESTS} requests, {failed} failed");
}

pub(crate) async fn a_cluster_without_endpoints(subject: &Subject) {
    for (endpoints, loses) in [(Some("trusted"), false), (Some("learned"), true), (Some("ignored"), true), (None, true)]
    {
        let canary = start(subject, endpoints, Value::Null, &["v1", NATIVE]).await;
        let _log = canary.envoy.show_log_on_panic();
        add(&canary, empty()).await;
        let row = format!("empty, {endpoints:?}");
        let outcome = served(&canary, Protocol::Http1).await;
        if loses { assert_loses_few(&outcome, &row) } else { assert_all_by(&outcome, "v1", &row) }
    }
}

/// v3 and the default are missing, and v2, which is there, has served nothing yet: with one guard after another nothing is
/// lost, with one alone the first requests are.
pub(crate) async fn two_clusters_that_do_not_exist(subject: &Subject) {
    let mut document = all_to("v3");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"]}]);
    let backends = [Backend::of("v2"), Backend::of(NATIVE)];
    for guards in [1, 2] {
        let pairs = std::iter::repeat_n([refresher(), guard("learned")], guards);
        let around = Surroundings { after: pairs.flatten().collect(), ..surroundings(None, Value::Null) };
        let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
        let _log = canary.envoy.show_log_on_panic();
        let (row, outcome) = (format!("two missing, {guards} guards"), served(&canary, Protocol::Http1).await);
        if guards == 1 {
            let failed = outcome.failures.len() as u64;
            assert!((1..=100).contains(&failed), "{row}: {failed} failed");
            assert_eq!(outcome.served("v2"), REQUESTS - failed, "{row}");
        } else {
            assert_all_by(&outcome, "v2", &row);
        }
    }
}

pub(crate) async fn a_cluster_that_comes_later(subject: &Subject) {
    let mut canary = start(subject, Some("learned"), Value::Null, &["v1", NATIVE]).await;
    let load = Load::start(canary.address, Protocol::Http1, &Request::new("reviews", "/"), CONNECTIONS, 500_000);
    load.go_on_for(REQUESTS).await;
    assert_eq!(load.so_far().served("v1"), load.so_far().successes());
    canary.add_upstream("v2").await;
    load.until("requests served by v2", |outcome| outcome.served("v2") >= REQUESTS).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, [""; 0]);
    eprintln!("comes later: 0 failed, {:?}", outcome.served_by);
}

pub(crate) async fn nothing_is_moved_where_the_number_is_dead(subject: &Subject) {
    let without_membership =
        json!({"stats_matcher": {"exclusion_list": {"patterns": [{"suffix": "membership_total"}]}}});
    let canary = start(subject, Some("learned"), without_membership, &["v1", "v2", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    assert_all_by(&served(&canary, Protocol::Http1).await, "v2", "membership_total left out");
}

pub(crate) async fn nothing_is_moved_from_an_aggregate_cluster(subject: &Subject) {
    let backends = [
        Backend::of("v1"),
        Backend { name: "v2".to_owned(), clusters: vec!["behind".to_owned()] },
        Backend::of(NATIVE),
    ];
    let around = surroundings(Some("learned"), Value::Null);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document(), &backends).await;
    let _log = canary.envoy.show_log_on_panic();
    let aggregate = json!({
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
            "clusters": ["behind"],
        }},
    });
    add(&canary, v2(aggregate)).await;
    assert_all_by(&served(&canary, Protocol::Http1).await, "v2", "aggregate cluster");
}
