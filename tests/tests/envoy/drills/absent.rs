//! Ten thousand requests for a version that is absent, not yet present, or present for a part of the time.

use std::time::{Duration, Instant};

use e2e::{
    bootstrap::{discovered_cluster, eds_resource, empty_cluster},
    canary::{Canary, NATIVE, cluster_name},
    client::{Protocol, Request},
    load::{CheckedKind, Kind, Load, Outcome},
    pushed::PushedFile,
    upstream::{ECHO, Upstream, VERSION_HEADER},
};
use serde_json::{Value, json};

use super::{
    REPORTS, assert_none_lost, assert_some_lost, kinds, native_split, reporting, start, start_native, with_fallback,
};
use crate::{
    Subject,
    documents::{all_to, document, split},
    steering::PROTOCOLS,
};

/// In each drill, by all protocols together.
const REQUESTS: u64 = 10_000;
const BY_EACH: u64 = REQUESTS / PROTOCOLS.len() as u64;
const CONTROL: u64 = 200;
const CONNECTIONS: u64 = 4;
/// The requests after which a change is in force.
const ENOUGH: u64 = 200;
/// How often a cluster comes and goes, and then its endpoints.
const CYCLES: u64 = 50;
/// Requests of each kind of client between two of these.
const BETWEEN: u64 = 20;
const PAUSE: Duration = Duration::from_millis(4);
/// The time after which a request tries a missing version again.
const MAX_OUTAGE: Duration = Duration::from_secs(5);

fn to_v2() -> Value {
    reporting(&["v2", "v1"], &["v2", "v1"])
}

fn get() -> Request {
    Request::new("reviews", "/reviews/1").header(ECHO, VERSION_HEADER)
}

async fn send(canary: &Canary, kind: impl Into<CheckedKind>, requests: u64) -> Outcome {
    Load::of(canary.address, kind, CONNECTIONS, requests).finish().await
}

/// Sends all requests to v2 with these extra clusters, with failover clusters and with native routes alone.
async fn compare(subject: &Subject, row: &str, extra: &[Value]) {
    let canary = start(subject, &to_v2(), &["v1", NATIVE]).await;
    let native = start_native(subject, &native_split(&[("v2", 1)]), &["v1", NATIVE]).await;
    for proxy in [&canary, &native] {
        proxy.add_clusters(extra);
        let present = (!extra.is_empty()).then_some(0);
        proxy.envoy.wait_for_endpoints(&cluster_name("v2"), present).await;
    }
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        let row = format!("{row}, {protocol:?}");
        let requests = subject.share_of(BY_EACH);
        let kind = Kind::Http(protocol, get());
        let outcome = send(&canary, kind.clone().reporting(REPORTS), requests).await;
        assert_none_lost(&row, &outcome);
        assert_eq!(outcome.served("v1"), requests, "{row}");
        let control = send(&native, &kind, CONTROL).await;
        assert_some_lost(&row, &control);
        assert_eq!(control.refused(503), CONTROL, "{row}");
    }
}

pub(crate) async fn a_cluster_that_does_not_exist(subject: &Subject) {
    compare(subject, "no cluster", &[]).await;
}

pub(crate) async fn a_cluster_without_endpoints(subject: &Subject) {
    compare(subject, "no endpoint", &[empty_cluster(&cluster_name("v2"))]).await;
}

/// v2's cluster by CDS and its endpoints by EDS, both from files.
struct Discovered<'p> {
    proxy: &'p Canary,
    v2: Upstream,
    endpoints: PushedFile,
    loads: Vec<Load>,
    _folder: tempfile::TempDir,
}

impl<'p> Discovered<'p> {
    async fn start(proxy: &'p Canary, reports: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let v2 = Upstream::start("v2").await;
        let resource = eds_resource(&cluster_name("v2"), &[v2.address()]);
        let endpoints = PushedFile::new(folder.path().join("eds.json"), &[resource]);
        let load = |(_, kind): (_, Kind)| Load::paced(proxy.address, kind.reporting(reports), CONNECTIONS / 2, PAUSE);
        let world = Self { proxy, v2, endpoints, loads: Vec::new(), _folder: folder };
        world.add_cluster().await;
        Self { loads: kinds().map(load).into(), ..world }
    }

    async fn add_cluster(&self) {
        self.proxy.add_clusters(&[discovered_cluster(&cluster_name("v2"), &self.endpoints)]);
        self.proxy.envoy.wait_for_endpoints(&cluster_name("v2"), Some(1)).await;
    }

    async fn remove_cluster(&self) {
        self.proxy.add_clusters(&[]);
        self.proxy.envoy.wait_for_endpoints(&cluster_name("v2"), None).await;
    }

    async fn set_endpoints(&self, present: bool) {
        let endpoints: Vec<_> = present.then_some(self.v2.address()).into_iter().collect();
        self.endpoints.push(&[eds_resource(&cluster_name("v2"), &endpoints)]);
        self.proxy.envoy.wait_for_endpoints(&cluster_name("v2"), Some(endpoints.len())).await;
    }

    /// Waits for more requests of each kind.
    async fn go_on(&self) {
        for load in &self.loads {
            load.go_on_for(BETWEEN).await;
        }
    }

    async fn until_v2_serves(&self) {
        for load in &self.loads {
            let goal = load.so_far().served("v2") + BETWEEN;
            load.until("v2 serves", |outcome| outcome.served("v2") >= goal).await;
        }
    }

    /// Removes and adds v2's cluster, and then removes its endpoints, under load.
    async fn lose_cluster_then_endpoints(&self) {
        self.until_v2_serves().await;
        self.remove_cluster().await;
        self.go_on().await;
        self.add_cluster().await;
        self.until_v2_serves().await;
        self.set_endpoints(false).await;
        self.go_on().await;
    }

    async fn stop(self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for load in self.loads {
            outcomes.push(load.stop().await);
        }
        outcomes
    }
}

pub(crate) async fn comes_and_goes(subject: &Subject) {
    let canary = start(subject, &to_v2(), &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    let world = Discovered::start(&canary, REPORTS).await;
    for _ in 0..CYCLES {
        world.lose_cluster_then_endpoints().await;
        world.set_endpoints(true).await;
    }
    world.until_v2_serves().await;
    for ((name, _), outcome) in kinds().iter().zip(world.stop().await) {
        assert_none_lost(&format!("cluster and endpoints gone and back {CYCLES} times, {name}"), &outcome);
        assert!(outcome.served("v1") >= CYCLES * BETWEEN, "v1 has served: {:?}", outcome.served_by);
    }

    let native = start_native(subject, &native_split(&[("v2", 1)]), &["v1", NATIVE]).await;
    let world = Discovered::start(&native, &[]).await;
    world.lose_cluster_then_endpoints().await;
    for ((name, _), outcome) in kinds().iter().zip(world.stop().await) {
        assert_some_lost(&format!("gone and back once, {name}"), &outcome);
    }
}

pub(crate) async fn a_subset_before_its_cluster(subject: &Subject) {
    let half = [("v1", 50), ("v2", 50)];
    let introduced = with_fallback(document(&[("reviews", json!([{"route": split(&half)}]))]), &["v2", "v1"]);
    let alone = with_fallback(all_to("v1"), &["v1"]);
    let mut canary = start(subject, &alone, &["v1", NATIVE]).await;
    let load = Load::paced(canary.address, &Kind::Http(Protocol::Http1, get()), CONNECTIONS, PAUSE);
    load.go_on_for(ENOUGH).await;
    canary.take(&introduced).await;
    // Long enough that requests have found it missing twice more.
    let begin = Instant::now();
    load.go_on_for(subject.share_of(REQUESTS)).await;
    while subject.is_last && begin.elapsed() < MAX_OUTAGE * 2 + MAX_OUTAGE / 5 {
        load.go_on_for(ENOUGH).await;
    }
    assert_eq!(load.so_far().served("v2"), 0, "v2 is not there yet");
    canary.add_upstream("v2").await;
    load.until("v2 serves", |outcome| outcome.served("v2") >= ENOUGH).await;
    let _log = canary.envoy.show_log_on_panic();
    assert_none_lost("subset before its cluster", &load.stop().await);

    let native = start_native(subject, &native_split(&[("v1", 1)]), &["v1", NATIVE]).await;
    let load = Load::paced(native.address, &Kind::Http(Protocol::Http1, get()), CONNECTIONS, PAUSE);
    native.take(&native_split(&half)).await;
    load.go_on_for(CONTROL).await;
    assert_some_lost("subset before its cluster", &load.stop().await);
}
