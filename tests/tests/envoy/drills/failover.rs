//! One or two versions cannot serve from the first request on. No request is lost, and every report names the version that answered.

use std::{collections::BTreeMap, net::SocketAddr};

use e2e::{
    bootstrap::{Surroundings, cluster, empty_cluster},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{self, Protocol, Request},
    failover::Failover,
    load::{ANSWERED_BY, Kind, Load},
    prometheus::Samples,
    upstream::{TEST_ID, Upstream, VERSION_HEADER},
    wait,
};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::{REPORTS, assert_none_lost, assert_some_lost, kinds, native_split, reporting, start_as, start_native};
use crate::{Subject, steering::PROTOCOLS};

const HOST: &str = "reviews";
const CONNECTIONS: u64 = 2;
/// Requests of each kind of client.
const REQUESTS: u64 = 60;

/// Why a version cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Refuses,
    Empty,
    Missing,
}

const STATES: [State; 3] = [State::Refuses, State::Empty, State::Missing];

/// A port that refuses connections. It is reserved until this is dropped.
pub(super) struct ClosedPort {
    pub(super) address: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    pub(super) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self { address: socket.local_addr().expect("a bound socket has an address"), _socket: socket }
    }
}

impl State {
    /// The cluster of a version in this state.
    fn cluster(self, version: &str, closed: &ClosedPort) -> Option<Value> {
        match self {
            Self::Refuses => Some(cluster(&cluster_name(version), closed.address)),
            Self::Empty => Some(empty_cluster(&cluster_name(version))),
            Self::Missing => None,
        }
    }
}

/// All requests go to v3, then to v2 and v1. Each version names itself in the response.
pub(super) fn to_v3() -> Value {
    reporting(&["v3", "v2", "v1"], &["v2", "v1"])
}

/// Every state of v3 with a healthy v2, and every pair of states.
pub(crate) async fn every_pair_of_versions_that_cannot_serve(subject: &Subject) {
    let closed = ClosedPort::new();
    for failover in subject.all_failover() {
        for v3 in STATES {
            for v2 in STATES.map(Some).into_iter().chain([None]) {
                let row =
                    format!("v3 {v3:?}, v2 {}, {failover:?}", v2.map_or("well".to_owned(), |v2| format!("{v2:?}")));
                drill(subject, *failover, &closed, (v3, v2), &row).await;
            }
        }
    }
}

async fn drill(
    subject: &Subject,
    failover: Failover,
    closed: &ClosedPort,
    (v3, v2): (State, Option<State>),
    row: &str,
) {
    let upstreams = if v2.is_some() { vec!["v1", NATIVE] } else { vec!["v1", "v2", NATIVE] };
    let serves = if v2.is_some() { "v1" } else { "v2" };
    let extra: Vec<Value> =
        v3.cluster("v3", closed).into_iter().chain(v2.and_then(|state| state.cluster("v2", closed))).collect();
    let canary = start_as(subject, failover, &to_v3(), &upstreams).await;
    let native = start_native(subject, &native_split(&[("v3", 1)]), &upstreams).await;
    let _log = canary.envoy.show_log_on_panic();
    for proxy in [&canary, &native] {
        proxy.bring_clusters(&extra).await;
    }
    let requests = subject.share_of(REQUESTS).max(20);
    let loads =
        kinds().map(|(name, kind)| (name, Load::of(canary.address, kind.reporting(REPORTS), CONNECTIONS, requests)));
    let mut served = 0;
    for (name, load) in loads {
        let outcome = load.finish().await;
        assert_none_lost(&format!("{row}, {name}"), &outcome);
        assert_eq!(outcome.served(serves), outcome.all(), "{row}, {name}: {:?}", outcome.served_by);
        served += outcome.all();
    }
    assert_reported(&canary, serves, row).await;
    let samples = wait::until(&format!("{row}: the counts"), async || {
        let samples = Samples::of(&canary.envoy).await;
        let counted = samples.sum("canary_requests_total", &[]);
        (counted == served + PROTOCOLS.len() as u64).then_some(samples)
    })
    .await;
    let all = served + PROTOCOLS.len() as u64;
    assert_eq!(samples.sum("canary_requests_total", &[("version", serves)]), all, "{row}: the version that has served");
    let moved = samples.sum("canary_fallbacks_total", &[("from", "v3"), ("to", serves)]);
    assert_eq!(moved, all, "{row}: each was another's");
    let reason = if v3 == State::Refuses || v2 == Some(State::Refuses) { "failed" } else { "no-endpoints" };
    assert_eq!(samples.sum("canary_fallbacks_total", &[("reason", reason)]), all, "{row}: {reason}");
    for (name, kind) in kinds() {
        let row = format!("{row}, {name}");
        assert_some_lost(&row, &Load::of(native.address, &kind, CONNECTIONS, 20).finish().await);
    }
    canary.envoy.assert_no_crash();
}

/// Asserts that the client, the upstream and the access log have the same version.
async fn assert_reported(canary: &Canary, serves: &str, row: &str) {
    for protocol in PROTOCOLS {
        let id = format!("{row}, {protocol:?}");
        let answer = client::send(canary.address, protocol, &Request::new(HOST, "/").header(TEST_ID, &id)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, serves), "{id}");
        assert_eq!(answer.values(ANSWERED_BY), [serves], "{id}: the operations on the response");
        let seen = canary.upstream(serves).recorded(&id);
        assert_eq!(seen[0].texts(VERSION_HEADER), [serves], "{id}: what the upstream gets");
        let entry = canary.access_log(&id).await;
        assert_eq!(entry["canary"], format!("version={serves} reason=weight route=all"), "{id}: {entry}");
    }
}

/// A version's cluster with endpoints of this health.
fn with_health(version: &str, endpoints: &[(SocketAddr, &str)]) -> Value {
    let name = cluster_name(version);
    let mut whole = cluster(&name, endpoints[0].0);
    let first = whole["load_assignment"]["endpoints"][0]["lb_endpoints"][0].clone();
    let endpoint = |(address, health): &(SocketAddr, &str)| {
        let mut endpoint = first.clone();
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(address.port());
        endpoint["health_status"] = json!(health);
        endpoint
    };
    whole["load_assignment"]["endpoints"][0]["lb_endpoints"] = endpoints.iter().map(endpoint).collect();
    whole
}

pub(crate) async fn health_of_endpoints(subject: &Subject) {
    let closed = ClosedPort::new();
    let v3 = Upstream::start("v3").await;
    let (well, down) = ((v3.address(), "HEALTHY"), (closed.address, "UNHEALTHY"));
    for failover in subject.all_failover() {
        for (row, endpoints, serves) in [
            ("all unhealthy", vec![down, down], "v2"),
            ("one of three healthy: nothing spills over", vec![down, well, down], "v3"),
        ] {
            let row = format!("{row}, {failover:?}");
            let canary = start_as(subject, *failover, &to_v3(), &["v1", "v2", NATIVE]).await;
            canary.bring_clusters(&[with_health("v3", &endpoints)]).await;
            let _log = canary.envoy.show_log_on_panic();
            let native = start_native(subject, &native_split(&[("v3", 1)]), &[NATIVE]).await;
            native.bring_clusters(&[with_health("v3", &endpoints)]).await;
            for (name, kind) in kinds() {
                let row = format!("{row}, {name}");
                let (reports, requests) = (kind.clone().reporting(REPORTS), subject.share_of(REQUESTS).max(20));
                let outcome = Load::of(canary.address, reports, CONNECTIONS, requests).finish().await;
                assert_none_lost(&row, &outcome);
                assert_eq!(outcome.served(serves), outcome.all(), "{row}: {:?}", outcome.served_by);
                if serves == "v2" {
                    assert_some_lost(&row, &Load::of(native.address, &kind, CONNECTIONS, 20).finish().await);
                }
            }
        }
        if *failover == Failover::Aggregate {
            spills_over_by_default(subject, &[down, well, down]).await;
        }
    }
}

/// Without the `overprovisioning_factor` an aggregate cluster sends a share of the requests to the next member.
async fn spills_over_by_default(subject: &Subject, endpoints: &[(SocketAddr, &str)]) {
    let canary = start_as(subject, Failover::Aggregate, &to_v3(), &["v1", "v2", NATIVE]).await;
    let mut v3 = with_health("v3", endpoints);
    v3["load_assignment"]["policy"] = json!({});
    canary.bring_clusters(&[v3]).await;
    let (_, get) = &kinds()[0];
    let outcome = Load::of(canary.address, get, CONNECTIONS, 100).finish().await;
    assert!(outcome.served("v3") > 0 && outcome.served("v2") > 0, "the control spills: {:?}", outcome.served_by);
}

/// An aggregate cluster tries each priority of a member once. A composite cluster continues with the next member.
pub(crate) async fn a_try_for_each_priority(subject: &Subject) {
    let closed = ClosedPort::new();
    let mut v3 = with_health("v3", &[(closed.address, "HEALTHY")]);
    let mut second = v3["load_assignment"]["endpoints"][0].clone();
    second["priority"] = json!(1);
    v3["load_assignment"]["endpoints"].as_array_mut().expect("endpoints").push(second);
    let two = json!({"attempts": 2, "retryOn": "connect-failure,refused-stream,reset-before-request"});
    for (failover, retries, status) in [
        (Failover::Aggregate, Value::Null, 503),
        (Failover::Aggregate, two, 200),
        (Failover::Composite, Value::Null, 200),
    ] {
        if !subject.all_failover().contains(&failover) {
            continue;
        }
        let around = Surroundings::failing_over(failover, 1);
        let backends = ["v2", NATIVE].map(Backend::of);
        let mut document = reporting(&["v3", "v2"], &["v2"]);
        document["virtualServices"][0]["spec"]["http"][0]["retries"] = retries.clone();
        let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
        canary.bring_clusters(&[v3.clone()]).await;
        for protocol in PROTOCOLS {
            let answer = client::send(canary.address, protocol, &Request::new(HOST, "/")).await;
            let served = if status == 200 { "v2" } else { "" };
            assert_eq!((answer.status, answer.served_by.as_str()), (status, served), "{failover:?}, retries {retries}");
        }
    }
}

/// The settings of a DestinationRule apply to each member, the first and the next ones.
pub(crate) async fn members_keep_their_own_settings(subject: &Subject) {
    for failover in subject.all_failover() {
        limits_hold(subject, *failover).await;
        outliers_are_ejected(subject, *failover).await;
        loads_are_balanced(subject, *failover).await;
        protocols_differ(subject, *failover).await;
    }
}

async fn started(subject: &Subject, failover: Failover, v3: Value) -> Canary {
    let canary = start_as(subject, failover, &to_v3(), &["v1", "v2", NATIVE]).await;
    canary.bring_clusters(&[v3]).await;
    canary
}

fn stat(version: &str, name: &str) -> String {
    format!("cluster.{}.{name}", cluster_name(version))
}

/// There is no failover from a version at its connection limit, because the limit is intended.
async fn limits_hold(subject: &Subject, failover: Failover) {
    let upstream = Upstream::start("v3").await;
    let mut v3 = cluster(&cluster_name("v3"), upstream.address());
    v3["circuit_breakers"]["thresholds"][0]["max_requests"] = json!(1);
    v3["circuit_breakers"]["thresholds"][0]["max_pending_requests"] = json!(1);
    let canary = started(subject, failover, v3).await;
    let slow = Request::new(HOST, "/delay/300ms");
    let answers = e2e::load::burst(canary.address, Protocol::Http2, &slow, 8).await;
    let full = answers.iter().filter(|(_, answer)| answer.status == 503).count();
    let served: Vec<_> =
        answers.iter().filter(|(_, answer)| answer.status == 200).map(|(_, answer)| &answer.served_by).collect();
    assert!(full > 0, "{failover:?}: more than the limit at a time");
    assert!(served.iter().all(|name| *name == "v3"), "{failover:?}: {served:?}");
    assert!(canary.envoy.stat(&stat("v3", "upstream_rq_pending_overflow")).await > 0, "{failover:?}");
}

/// When the last endpoint is ejected the next version serves.
async fn outliers_are_ejected(subject: &Subject, failover: Failover) {
    let upstream = Upstream::start("v3").await;
    let mut v3 = cluster(&cluster_name("v3"), upstream.address());
    v3["outlier_detection"] = json!({"consecutive_5xx": 3, "enforcing_consecutive_5xx": 100, "base_ejection_time": "60s",
                                     "max_ejection_percent": 100, "interval": "1s"});
    v3["common_lb_config"] = json!({"healthy_panic_threshold": {"value": 0}});
    let canary = started(subject, failover, v3).await;
    let get = |path: &str| Request::new(HOST, path);
    for _ in 0..3 {
        let answer = client::send(canary.address, Protocol::Http1, &get("/status/503")).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (503, "v3"), "{failover:?}");
    }
    wait::until(&format!("{failover:?}: v3's endpoint is ejected"), async || {
        let answer = client::send(canary.address, Protocol::Http1, &get("/")).await;
        assert_eq!(answer.status, 200, "{failover:?}");
        (answer.served_by == "v2").then_some(())
    })
    .await;
}

async fn loads_are_balanced(subject: &Subject, failover: Failover) {
    const EACH: u64 = 40;
    let both = [Upstream::start("v3-a").await, Upstream::start("v3-b").await];
    let endpoints: Vec<_> = both.iter().map(|upstream| (upstream.address(), "HEALTHY")).collect();
    let mut v3 = with_health("v3", &endpoints);
    v3["lb_policy"] = json!("ROUND_ROBIN");
    let canary = started(subject, failover, v3).await;
    let get = Kind::Http(Protocol::Http1, Request::new(HOST, "/"));
    let outcome = Load::of(canary.address, &get, CONNECTIONS, 2 * EACH).finish().await;
    assert_none_lost(&format!("round robin, {failover:?}"), &outcome);
    for upstream in &both {
        // Each worker starts at a random endpoint.
        assert!(outcome.served(upstream.name()).abs_diff(EACH) <= 2, "{failover:?}: {:?}", outcome.served_by);
    }
}

/// v3 refuses HTTP/1.1 connections. v2 uses HTTP/2 and TLS.
async fn protocols_differ(subject: &Subject, failover: Failover) {
    let closed = ClosedPort::new();
    let tls = super::tls::Terminator::start(subject, "v2").await;
    let only = |mut cluster: Value, options: Value| {
        let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let fields = cluster["typed_extension_protocol_options"][kind].as_object_mut().expect("protocol options");
        fields.remove("use_downstream_protocol_config");
        fields.insert("explicit_http_config".to_owned(), options);
        cluster
    };
    let v3 = only(cluster(&cluster_name("v3"), closed.address), json!({"http_protocol_options": {}}));
    let mut v2 = only(cluster(&cluster_name("v2"), tls.address), json!({"http2_protocol_options": {}}));
    v2["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"},
    });
    let canary = start_as(subject, failover, &to_v3(), &["v1", NATIVE]).await;
    canary.bring_clusters(&[v3, v2]).await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        let answer = client::send(canary.address, protocol, &Request::new(HOST, "/")).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{protocol:?}, {failover:?}");
    }
    let counted = BTreeMap::from_iter([
        ("HTTP/2", canary.envoy.stat(&stat("v2", "upstream_cx_http2_total")).await),
        ("TLS", canary.envoy.stat(&stat("v2", "ssl.handshake")).await),
    ]);
    assert!(counted.values().all(|count| *count > 0), "{failover:?}: {counted:?}");
}
