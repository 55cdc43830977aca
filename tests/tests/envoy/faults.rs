//! Injected delays and aborts.

use std::time::{Duration, Instant};

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, UPSTREAMS},
    client::{self, Connection, Protocol, Request},
    load::burst,
    wait,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Subject,
    documents::{document, to},
    steering::{PROTOCOLS, TEST_ID},
};

const ACTIVE: &str = "http.canary.downstream_rq_active";
const ECDS_TAKEN: &str = "extension_config_discovery.http_filter.canary.update_success";
const DELAYS_SKIPPED: &str = "wasmcustom.canary_delays_skipped_total";

/// Envoy's timers start at the time when its event loop woke up, so they may fire early by this number of milliseconds.
const EARLY: u64 = 20;

/// Asserts that requests went on after their delay: half of them at most 5 % or 100 ms late, and each as in [`assert_went_on`].
fn assert_on_time(entries: &[Value], millis: u64, what: &str) {
    let mut took: Vec<_> = entries.iter().map(|entry| assert_went_on(entry, millis, what)).collect();
    took.sort_unstable();
    let middle = took[took.len() / 2];
    assert!(
        middle <= millis + (millis / 20).max(100),
        "{what}: half went on after {middle} ms or later, not {millis} ms"
    );
}

/// Asserts that a request went on after its delay, to the upstream or with an answer of the proxy: not early, and not much later. By the
/// clock of the proxy, in which there is now and then a wait for a processor. Gives the time.
pub(crate) fn assert_went_on(entry: &Value, millis: u64, what: &str) -> u64 {
    let took = entry["sent_after"].as_u64().or_else(|| entry["answered_after"].as_u64());
    let took = took.unwrap_or_else(|| panic!("{what}: no time in {entry}"));
    assert!(
        took + EARLY >= millis && took < millis * 3 / 2 + 500,
        "{what}: went on after {took} ms where the delay is {millis} ms"
    );
    took
}

/// The delay that a busy machine may add for a client.
const PATIENT: Duration = Duration::from_millis(500);

/// Asserts that a client waited for a delay, and not much longer.
pub(crate) fn assert_waited(took: Duration, millis: u64, what: &str) {
    let expected = Duration::from_millis(millis);
    assert!(
        took >= expected - expected / 100 && took < expected * 3 / 2 + PATIENT,
        "{what}: took {took:?}, not {expected:?}"
    );
}

fn shop(path: &str) -> Request {
    Request::new("shop.example", path)
}

fn delayed(prefix: &str, delay: &str) -> Value {
    rule(prefix, json!({"delay": {"fixedDelay": delay, "percentage": {"value": 100}}}))
}

fn rule(prefix: &str, fault: Value) -> Value {
    json!({"match": [{"uri": {"prefix": prefix}}], "fault": fault, "route": to("v1")})
}

/// Rules for one host, with room for many delays.
fn faults(rules: Value, max_active: u32) -> Value {
    let mut document = document(&[("shop.example", rules)]);
    document["faults"] = json!({"maxActive": max_active});
    document
}

/// The host of the claims that need no proxy of their own, and its rules.
pub(crate) fn host() -> (&'static str, Value) {
    let abort = |abort: Value| json!({"abort": abort});
    let late = json!({
        "delay": {"fixedDelay": "300ms", "percentage": {"value": 100}},
        "abort": {"httpStatus": 418, "percentage": {"value": 100}},
    });
    let mut decorated = rule("/decorated", abort(json!({"httpStatus": 503, "percentage": {"value": 100}})));
    decorated["headers"] = json!({"response": {"set": {"x-why": "fault"}}});
    let rules = json!([
        delayed("/two-seconds", "2s"),
        rule("/http", abort(json!({"httpStatus": 555, "percentage": {"value": 100}}))),
        rule("/grpc", abort(json!({"grpcStatus": "NOT_FOUND", "percentage": {"value": 100}}))),
        rule("/late", late),
        rule("/never", abort(json!({"httpStatus": 500}))),
        rule("/zero", abort(json!({"httpStatus": 500, "percentage": {"value": 0}}))),
        decorated,
    ]);
    ("faults.example", rules)
}

pub(crate) async fn delays_are_on_time(subject: &Subject) {
    const REQUESTS: usize = 40;
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        let id = format!("{protocol:?} delayed");
        let request = Request::new("faults.example", "/two-seconds").header(TEST_ID, &id);
        for (took, answer) in burst(canary.address, protocol, &request, REQUESTS).await {
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{id}: {answer:?}");
            assert_waited(took, 2000, &id);
        }
        assert_on_time(&canary.access_logs(&id, REQUESTS).await, 2000, &id);
    }
}

pub(crate) async fn aborts_are_told_in_the_access_log(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        for (name, path, status, details) in [
            ("HTTP status", "/http", 555, "canary_fault_abort"),
            ("gRPC status for a request that is no gRPC", "/grpc", 200, "canary_fault_abort"),
            ("after a delay", "/late", 418, "canary_fault_abort"),
            ("no percentage is never", "/never", 200, "via_upstream"),
            ("0 %", "/zero", 200, "via_upstream"),
            ("with response headers", "/decorated", 503, "canary_fault_abort"),
        ] {
            let id = format!("{protocol:?} {name}");
            let begin = Instant::now();
            let answer =
                client::send(canary.address, protocol, &Request::new("faults.example", path).header(TEST_ID, &id))
                    .await;
            let took = begin.elapsed();
            assert_eq!(answer.status, status, "{id}: {answer:?}");
            assert_eq!(canary.access_log(&id).await["details"], details, "{id}");
            let aborted = details == "canary_fault_abort";
            let recorded = canary.upstream("v1").recorded(&id).len();
            assert_eq!((answer.body == "fault filter abort", recorded), (aborted, usize::from(!aborted)), "{id}");
            if path == "/late" {
                assert!(took >= Duration::from_millis(300), "{id}: took {took:?}");
            }
            let why: &[&str] = if path == "/decorated" { &["fault"] } else { &[] };
            assert_eq!(answer.values("x-why"), why, "{id}");
        }
    }
}

pub(crate) async fn surplus_delays_are_skipped_and_counted(subject: &Subject) {
    const LIMIT: u32 = 5;
    const REQUESTS: usize = 30;
    let document = faults(json!([delayed("/", "1s")]), LIMIT);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    // The limit applies to each worker thread. A connection belongs to one of them.
    let answers = burst(canary.address, Protocol::Http2, &shop("/"), REQUESTS).await;
    assert!(answers.iter().all(|(_, answer)| answer.status == 200), "{answers:?}");
    let late = answers.iter().filter(|(took, _)| *took >= Duration::from_millis(990)).count();
    assert_eq!(late, LIMIT as usize, "delayed requests of {REQUESTS}");
    let skipped = (REQUESTS - LIMIT as usize) as u64;
    canary.envoy.wait_for_stat(DELAYS_SKIPPED, skipped).await;
    assert_eq!(canary.envoy.stat(DELAYS_SKIPPED).await, skipped, "delays counted as skipped");

    let answers = burst(canary.address, Protocol::Http2, &shop("/"), LIMIT as usize).await;
    assert!(answers.iter().all(|(took, _)| *took >= Duration::from_millis(990)), "ended delays make room: {answers:?}");
}

pub(crate) async fn a_new_configuration_ends_old_delays_on_time(subject: &Subject) {
    const REQUESTS: usize = 1000;
    const MILLIS: u64 = 5000;
    let document = faults(json!([delayed("/", &format!("{MILLIS}ms"))]), 10_000);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    let taken = canary.envoy.stat(ECDS_TAKEN).await;
    let request = shop("/").header(TEST_ID, "old");
    let (answers, ()) = tokio::join!(burst(canary.address, Protocol::Http2, &request, REQUESTS), async {
        canary.envoy.wait_for_stat(ACTIVE, REQUESTS as u64).await;
        for (number, subset) in ["v2", "v3"].iter().enumerate() {
            canary.configure(&document_to(subset));
            canary.envoy.wait_for_stat(ECDS_TAKEN, taken + number as u64 + 1).await;
        }
        assert_eq!(canary.envoy.stat(ACTIVE).await, REQUESTS as u64, "the configuration was replaced in time");
        // Meanwhile other requests use the new one.
        let answer = client::send(canary.address, Protocol::Http1, &shop("/")).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v3"), "during the old delays");
    });
    for (_, answer) in answers {
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "as decided before the delay: {answer:?}");
    }
    let entries = canary.access_logs("old", REQUESTS).await;
    assert_eq!(entries.len(), REQUESTS, "requests");
    assert_on_time(&entries, MILLIS, "a delay of the configuration before");
}

fn document_to(subset: &str) -> Value {
    document(&[("shop.example", json!([{"route": to(subset)}]))])
}

pub(crate) async fn clients_that_go_leave_nothing_behind(subject: &Subject) {
    const BATCH: usize = 500;
    const BATCHES: usize = 10;
    /// The allowed growth of the process for 4,000 requests: 2 KiB for each, less than a stream needs.
    const GROWTH_KIB: u64 = 8 * 1024;
    let document = faults(json!([delayed("/late", "30s"), {"route": to("v1")}]), 1_000_000);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    let mut first = None;
    for batch in 0..BATCHES {
        let protocol = PROTOCOLS[batch % PROTOCOLS.len()];
        let clients = pending(&canary, protocol, BATCH).await;
        canary.envoy.wait_for_stat(ACTIVE, BATCH as u64).await;
        drop(clients);
        wait::until("no request is active", async || (canary.envoy.stat(ACTIVE).await == 0).then_some(())).await;
        // The first batches fill pools and arenas, of both protocols.
        if batch == 1 {
            first = Some(canary.envoy.resident_kib());
        }
    }
    let (first, last) = (first.expect("a second batch"), canary.envoy.resident_kib());
    println!("{}: resident {first} KiB after 1,000 clients, {last} KiB after 5,000", subject.binary.version);
    assert!(last < first + GROWTH_KIB, "resident {first} KiB, later {last} KiB");
    let cluster = format!("cluster.{}.upstream_rq_active", e2e::canary::cluster_name("v1"));
    assert_eq!(canary.envoy.stat(&cluster).await, 0, "requests at the upstream");
    assert_eq!(canary.upstream("v1").count(), 0, "nothing of them was sent on");
    let answer = client::send(canary.address, Protocol::Http1, &shop("/")).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "the proxy serves on");
}

/// Requests that wait for the end of their delay. They are cancelled when this is dropped.
async fn pending(canary: &Canary, protocol: Protocol, count: usize) -> JoinSet<()> {
    const STREAMS: usize = 100;
    let mut clients = JoinSet::new();
    let mut connection: Option<Connection> = None;
    for number in 0..count {
        let shared = connection.as_ref().filter(|_| number % STREAMS != 0).and_then(Connection::shared);
        let mut client = match shared {
            Some(client) => client,
            None => Connection::open(canary.address, protocol).await.expect("a connection"),
        };
        connection = client.shared();
        clients.spawn(async move {
            let answer = client.send(&shop("/late")).await;
            panic!("a delayed request was answered: {answer:?}");
        });
    }
    clients
}

pub(crate) async fn by_the_native_fault_filter(subject: &Subject) {
    let fault_filter = json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
            "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
        },
    });
    let surroundings = Surroundings { after: vec![fault_filter], ..Surroundings::default() };
    let abort = json!({"abort": {"httpStatus": 418, "percentage": {"value": 100}}});
    let both = json!({
        "delay": {"fixedDelay": "1s", "percentage": {"value": 100}},
        "abort": {"httpStatus": 503, "percentage": {"value": 100}},
    });
    let mut decorated = rule("/decorated", abort.clone());
    decorated["headers"] = json!({"response": {"set": {"x-why": "fault"}}});
    let mut document = document(&[(
        "shop.example",
        json!([delayed("/late", "1s"), rule("/abort", abort), rule("/both", both), decorated, {"route": to("v1")}]),
    )]);
    document["faults"] = json!({"delay": "faultFilter"});
    let backends = UPSTREAMS.map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &backends).await;
    let forged = shop("/").header("x-envoy-fault-abort-request", "500").header("x-envoy-fault-delay-request", "5000");
    for protocol in PROTOCOLS {
        for (name, request, status, flags, millis) in [
            ("delay", shop("/late"), 200, "DI", Some(1000)),
            ("abort", shop("/abort"), 418, "FI", None),
            ("both", shop("/both"), 503, "DI,FI", Some(1000)),
            ("response headers", shop("/decorated"), 418, "FI", None),
            ("none", shop("/"), 200, "-", None),
            ("forged", forged.clone(), 200, "-", None),
            (
                "forged for an unknown host",
                Request::new("unknown.example", "/").header("x-envoy-fault-abort-request", "500"),
                200,
                "-",
                None,
            ),
        ] {
            let id = format!("{protocol:?} {name}");
            let answer = client::send(canary.address, protocol, &request.header(TEST_ID, &id)).await;
            assert_eq!(answer.status, status, "{id}: {answer:?}");
            let entry = canary.access_log(&id).await;
            assert_eq!(entry["flags"], flags, "{id}");
            match millis {
                Some(millis) => _ = assert_went_on(&entry, millis, &id),
                None => assert!(entry["answered_after"].as_u64().is_some_and(|took| took < 900), "{id}: {entry}"),
            }
            let why: &[&str] = if name == "response headers" { &["fault"] } else { &[] };
            assert_eq!(answer.values("x-why"), why, "{id}");
        }
    }
}
