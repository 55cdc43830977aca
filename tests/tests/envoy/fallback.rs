//! What the guard believes of a cluster that is not there or has no endpoint, by its setting.

use e2e::{
    bootstrap::{Surroundings, empty_cluster, guard, refresher},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{Protocol, Request},
    load::Load,
};
use serde_json::{Value, json};

use crate::{Subject, documents::all_to, drills::with_fallback};

const REQUESTS: u64 = 500;
const CONNECTIONS: u64 = 4;

/// What comes of requests for v2, with v1 after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This version serves all of them.
    All(&'static str),
    /// The first of every worker fail, and then one or a few after each time of passing over; this version serves the others.
    FewLost(&'static str),
}

/// The chain with a guard that takes `endpoints` for true, or without one.
fn surroundings(endpoints: Option<&str>) -> Surroundings {
    endpoints.map_or_else(Surroundings::default, Surroundings::guarded)
}

async fn start(subject: &Subject, around: Surroundings, backends: &[Backend]) -> Canary {
    let document = with_fallback(all_to("v2"), &["v2", "v1"]);
    Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, backends).await
}

async fn assert_serves(canary: &Canary, row: &str, expected: Expected) {
    let _log = canary.envoy.show_log_on_panic();
    let get = Request::new("reviews", "/");
    let outcome = Load::start(canary.address, Protocol::Http1, &get, CONNECTIONS, REQUESTS).finish().await;
    let failed = outcome.failures.len() as u64;
    eprintln!("{row}: {REQUESTS} requests, {failed} failed, {:?}", outcome.served_by);
    match expected {
        Expected::All(version) => assert_eq!(outcome.served(version), REQUESTS, "{row}: {:?}", outcome.failures),
        Expected::FewLost(version) => {
            assert!((1..=100).contains(&failed), "{row}: {failed} failed");
            assert_eq!(outcome.served(version), REQUESTS - failed, "{row}");
        }
    }
}

pub(crate) async fn a_cluster_that_does_not_exist(subject: &Subject) {
    for (endpoints, expected) in [
        (Some("learned"), Expected::All("v1")),
        (Some("trusted"), Expected::All("v1")),
        (Some("ignored"), Expected::All("v1")),
        (None, Expected::FewLost("v1")),
    ] {
        let canary = start(subject, surroundings(endpoints), &["v1", NATIVE].map(Backend::of)).await;
        assert_serves(&canary, &format!("missing, {endpoints:?}"), expected).await;
    }
}

pub(crate) async fn a_cluster_without_endpoints(subject: &Subject) {
    for (endpoints, expected) in [
        (Some("trusted"), Expected::All("v1")),
        (Some("learned"), Expected::FewLost("v1")),
        (Some("ignored"), Expected::FewLost("v1")),
        (None, Expected::FewLost("v1")),
    ] {
        let canary = start(subject, surroundings(endpoints), &["v1", NATIVE].map(Backend::of)).await;
        canary.add_clusters(&[empty_cluster(&cluster_name("v2"))]);
        canary.envoy.wait_for_endpoints(&cluster_name("v2"), Some(0)).await;
        assert_serves(&canary, &format!("empty, {endpoints:?}"), expected).await;
    }
}

/// v3 and the default are missing, and v2, which is there, has served nothing yet: with one guard after another nothing is
/// lost, with one alone the first requests are.
pub(crate) async fn two_clusters_that_do_not_exist(subject: &Subject) {
    let document = with_fallback(all_to("v3"), &["v3", "v2", "v1"]);
    let backends = [Backend::of("v2"), Backend::of(NATIVE)];
    for (guards, expected) in [(1, Expected::FewLost("v2")), (2, Expected::All("v2"))] {
        let pairs = std::iter::repeat_n([refresher(), guard("learned")], guards);
        let around = Surroundings { after: pairs.flatten().collect(), ..Surroundings::default() };
        let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
        assert_serves(&canary, &format!("two missing, {guards} guards"), expected).await;
    }
}

/// Where a cluster can serve though its number of endpoints is 0, who trusts the number moves all of it.
const DEAD_NUMBER: [(&str, Expected); 2] = [("learned", Expected::All("v2")), ("trusted", Expected::All("v1"))];

pub(crate) async fn nothing_is_moved_where_the_number_is_dead(subject: &Subject) {
    let without_membership =
        json!({"stats_matcher": {"exclusion_list": {"patterns": [{"suffix": "membership_total"}]}}});
    for (endpoints, expected) in DEAD_NUMBER {
        let around = Surroundings { statistics: without_membership.clone(), ..Surroundings::guarded(endpoints) };
        let canary = start(subject, around, &["v1", "v2", NATIVE].map(Backend::of)).await;
        assert_serves(&canary, &format!("membership_total left out, {endpoints}"), expected).await;
    }
}

pub(crate) async fn nothing_is_moved_from_an_aggregate_cluster(subject: &Subject) {
    let behind = Backend { name: "v2".to_owned(), clusters: vec!["behind".to_owned()] };
    let backends = [Backend::of("v1"), behind, Backend::of(NATIVE)];
    for (endpoints, expected) in DEAD_NUMBER {
        let canary = start(subject, Surroundings::guarded(endpoints), &backends).await;
        let before = canary.envoy.stat("cluster_manager.active_clusters").await;
        canary.add_clusters(&[aggregate()]);
        canary.envoy.wait_for_stat("cluster_manager.active_clusters", before + 1).await;
        assert_serves(&canary, &format!("aggregate cluster, {endpoints}"), expected).await;
    }
}

/// v2's cluster, as another name for the one behind it.
fn aggregate() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": cluster_name("v2"),
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
            "clusters": ["behind"],
        }},
    })
}
