//! Configurations pushed to a running Envoy under load.

use e2e::{
    canary::{Canary, Delivery, NATIVE, UPSTREAMS},
    client::{Protocol, Request},
    load::{Load, Outcome},
    wait,
};
use serde_json::{Value, json};

use crate::{Subject, documents::all_to};

const CONNECTIONS: u64 = 3;
/// More than any load here sends. It limits a test that hangs.
const MOST: u64 = 500_000;
/// The requests after which a configuration is in force.
const ENOUGH: u64 = 200;

const ECDS_TAKEN: &str = "extension_config_discovery.http_filter.canary.update_success";
const ECDS_REFUSED: &str = "extension_config_discovery.http_filter.canary.update_rejected";
const LDS_TAKEN: &str = "listener_manager.lds.update_success";
const LDS_REFUSED: &str = "listener_manager.lds.update_rejected";
const LDS_DRAINING: &str = "listener_manager.total_filter_chains_draining";

/// Configurations that must be rejected, each for a different reason.
fn bad_documents() -> [(&'static str, Value); 4] {
    let mut unknown_field = all_to("v3");
    unknown_field["virtualServicez"] = json!([]);
    let mut wrong_type = all_to("v3");
    wrong_type["virtualServices"][0]["spec"]["hosts"] = json!("reviews");
    let mut negative_weight = all_to("v3");
    negative_weight["virtualServices"][0]["spec"]["http"][0]["route"][0]["weight"] = json!(-1);
    [
        ("unknown field", unknown_field),
        ("wrong type", wrong_type),
        ("negative weight", negative_weight),
        ("no object", json!("all to v3")),
    ]
}

/// Clients of both protocols.
struct Clients(Vec<Load>);

impl Clients {
    fn start(canary: &Canary) -> Self {
        let get = Request::new("reviews", "/reviews/1");
        let load = |protocol| Load::start(canary.address, protocol, &get, CONNECTIONS, MOST);
        Self([Protocol::Http1, Protocol::Http2].map(load).into())
    }

    /// Waits until clients of each protocol have been served by this version [`ENOUGH`] times from now on.
    async fn until_served_by(&self, version: &str) {
        for load in &self.0 {
            let goal = load.so_far().served(version) + ENOUGH;
            load.until(&format!("{ENOUGH} answers of {version}"), |outcome| outcome.served(version) >= goal).await;
        }
    }

    /// Asserts that from now on only this version serves.
    async fn assert_only(&self, version: &str, why: &str) {
        // The previous version may still answer requests in flight.
        for load in &self.0 {
            load.go_on_for(2 * CONNECTIONS).await;
        }
        let before: Vec<_> = self.0.iter().map(Load::so_far).collect();
        for (load, before) in self.0.iter().zip(before) {
            load.go_on_for(ENOUGH).await;
            let after = load.so_far();
            for (served_by, count) in after.served_by.iter().filter(|(served_by, _)| *served_by != version) {
                assert_eq!(*count, before.served(served_by), "{why}: served by {served_by}, not by {version}");
            }
        }
    }

    async fn stop(self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for load in self.0 {
            outcomes.push(load.stop().await);
        }
        outcomes
    }
}

pub(crate) async fn by_ecds(subject: &Subject) {
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &all_to("v1"), &UPSTREAMS).await;
    let clients = Clients::start(&canary);
    clients.until_served_by("v1").await;

    let taken = canary.envoy.stat(ECDS_TAKEN).await;
    canary.configure(&all_to("v2"));
    canary.envoy.wait_for_stat(ECDS_TAKEN, taken + 1).await;
    clients.until_served_by("v2").await;
    clients.assert_only("v2", "after a good configuration").await;

    for (row, document) in bad_documents() {
        let refusals = canary.envoy.stat(ECDS_REFUSED).await;
        canary.configure(&document);
        canary.envoy.wait_for_stat(ECDS_REFUSED, refusals + 1).await;
        clients.assert_only("v2", row).await;
    }
    assert_eq!(canary.envoy.stat(ECDS_TAKEN).await, taken + 1, "a bad configuration does not count as taken");

    canary.configure(&all_to("v3"));
    clients.until_served_by("v3").await;
    for outcome in clients.stop().await {
        assert_eq!(outcome.failures, [""; 0]);
        assert_eq!(outcome.connections, CONNECTIONS, "every connection is still the first one");
    }
}

pub(crate) async fn by_lds(subject: &Subject) {
    let canary = Canary::start(&subject.binary, Delivery::Lds, &all_to("v1"), &UPSTREAMS).await;
    let clients = Clients::start(&canary);
    clients.until_served_by("v1").await;

    let taken = canary.envoy.stat(LDS_TAKEN).await;
    canary.configure(&all_to("v2"));
    canary.envoy.wait_for_stat(LDS_TAKEN, taken + 1).await;
    clients.until_served_by("v2").await;
    // Old connections keep the old filter until they drain.
    wait::until("old filter chains are gone", async || (canary.envoy.stat(LDS_DRAINING).await == 0).then_some(()))
        .await;
    clients.assert_only("v2", "after a good configuration").await;

    for (row, document) in bad_documents() {
        let refusals = canary.envoy.stat(LDS_REFUSED).await;
        canary.configure(&document);
        canary.envoy.wait_for_stat(LDS_REFUSED, refusals + 1).await;
        clients.assert_only("v2", row).await;
    }

    canary.configure(&all_to("v3"));
    clients.until_served_by("v3").await;
    for outcome in clients.stop().await {
        assert_eq!(outcome.failures, [""; 0]);
    }
}

pub(crate) async fn a_version_that_was_not_there(subject: &Subject) {
    let mut canary = Canary::start(&subject.binary, Delivery::Ecds, &all_to("v1"), &["v1", NATIVE]).await;
    let clients = Clients::start(&canary);
    clients.until_served_by("v1").await;

    let clusters = canary.envoy.stat("cluster_manager.active_clusters").await;
    canary.add_upstream("v2").await;
    canary.envoy.wait_for_stat("cluster_manager.active_clusters", clusters + 1).await;
    clients.assert_only("v1", "before the rule names the new version").await;
    canary.configure(&all_to("v2"));
    clients.until_served_by("v2").await;
    for outcome in clients.stop().await {
        assert_eq!(outcome.failures, [""; 0]);
        assert_eq!(outcome.connections, CONNECTIONS, "every connection is still the first one");
    }
}
