//! A missing or empty cluster: recorded outages, and failover clusters.

use e2e::{
    bootstrap::{Surroundings, empty_cluster},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{Protocol, Request},
    load::Load,
};

use crate::{Subject, documents::all_to, drills::with_fallback};

const REQUESTS: u64 = 500;
const CONNECTIONS: u64 = 4;

/// The expected results of requests for v2, with a fallback to v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This version serves all of them.
    All(&'static str),
    /// The first requests of each worker fail, and one or a few after each outage expires. This version serves the others.
    FewLost(&'static str),
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

/// With failover clusters, and without.
fn rows(subject: &Subject) -> [(&'static str, Surroundings, Expected); 2] {
    let with = Surroundings::failing_over(subject.failover(), 1);
    [
        ("with failover clusters", with, Expected::All("v1")),
        ("without failover clusters", Surroundings::default(), Expected::FewLost("v1")),
    ]
}

pub(crate) async fn a_cluster_that_does_not_exist(subject: &Subject) {
    for (row, around, expected) in rows(subject) {
        let canary = start(subject, around, &["v1", NATIVE].map(Backend::of)).await;
        assert_serves(&canary, &format!("missing, {row}"), expected).await;
    }
}

pub(crate) async fn a_cluster_without_endpoints(subject: &Subject) {
    for (row, around, expected) in rows(subject) {
        let canary = start(subject, around, &["v1", NATIVE].map(Backend::of)).await;
        canary.add_clusters(&[empty_cluster(&cluster_name("v2"))]);
        canary.envoy.wait_for_endpoints(&cluster_name("v2"), Some(0)).await;
        assert_serves(&canary, &format!("empty, {row}"), expected).await;
    }
}
