//! Failure accrual: which results count, ejections and recoveries, and the exchange between workers.

use std::time::Duration;

use crate::fixture::{document, get, reviews, start};
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

pub(crate) const SHARED: &str = "canary_accruals";
pub(crate) const START: u64 = 1_795_000_000_123_456_789;
/// A little more than the tick period.
pub(crate) const TICK: Duration = Duration::from_millis(101);
const HOST: &str = "reviews.default.svc.cluster.local";

/// All requests go to v2, which two failures eject for 10 seconds. v1 is the default.
pub(crate) fn config(accrual: Value) -> String {
    let mut fields = json!({"consecutiveFailures": 2, "ejection": "10s", "trial": {"percentage": {"value": 100}}});
    fields.as_object_mut().unwrap().extend(accrual.as_object().unwrap().clone());
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    document(rule, json!({"policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": fields}]}))
}

pub(crate) fn started() -> Vm {
    let vm = start();
    vm.set_time(START);
    vm
}

pub(crate) fn cluster(stream: &Stream<'_>) -> String {
    String::from_utf8(stream.request_values("x-canary-cluster").concat()).unwrap()
}

pub(crate) fn sent<'vm>(filter: &Plugin<'vm>) -> Stream<'vm> {
    let mut stream = filter.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    stream
}

/// The end of a request, as Envoy reports it.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) flags: u64,
    pub(crate) status: u64,
    pub(crate) grpc: Option<u64>,
    pub(crate) reached: bool,
}

pub(crate) const OK: End = End { flags: 0, status: 200, grpc: None, reached: true };
pub(crate) const FAILED: End = End { status: 503, ..OK };

pub(crate) fn end(mut stream: Stream<'_>, end: End) {
    let cluster = cluster(&stream);
    end_at(&mut stream, end, &cluster);
}

pub(crate) fn end_at(stream: &mut Stream<'_>, end: End, resolved: &str) {
    stream.set_property(&["response", "flags"], end.flags.to_le_bytes());
    stream.set_property(&["response", "code"], end.status.to_le_bytes());
    stream.set_property(&["xds", "cluster_name"], resolved);
    if let Some(status) = end.grpc {
        stream.set_property(&["response", "grpc_status"], status.to_le_bytes());
    }
    if end.reached {
        reach(stream);
    }
}

/// The router has a connection for a request.
pub(crate) fn reach(stream: &mut Stream<'_>) {
    let cluster = cluster(stream);
    stream.set_property(&["xds", "cluster_name"], cluster);
    stream.set_property(&["upstream", "address"], "127.0.0.1:1");
}

/// Sends failing requests, one after another.
pub(crate) fn fail(filter: &Plugin<'_>, times: usize) {
    (0..times).for_each(|_| end(sent(filter), FAILED));
}

/// The version of the next request.
pub(crate) fn next(filter: &Plugin<'_>) -> String {
    let mut stream = sent(filter);
    let cluster = cluster(&stream);
    // The client leaves, which does not count.
    end_at(&mut stream, End { flags: 1 << 14, status: 0, ..OK }, &cluster);
    cluster
}

fn health_log(vm: &Vm) -> Vec<String> {
    let kinds = ["ejected:", "on trial:", "recovered:"];
    let lines = [vm.logged(LogLevel::Warn), vm.logged(LogLevel::Info)].concat();
    lines.into_iter().filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).collect()
}

#[test]
fn a_version_is_ejected_tried_and_recovers() {
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    fail(&filter, 1);
    assert_eq!(next(&filter), reviews("v2"));
    fail(&filter, 1);
    assert_eq!(next(&filter), reviews("v1"), "at once, without a tick");
    let counter = format!("host=.={HOST};.;from=.=v2;.;to=.=v1;.;reason=.=ejected;.;canary_fallbacks_total");
    assert_eq!(vm.metric(&counter), Some(1));
    vm.advance(TICK);
    assert_eq!(
        vm.metric(&format!("host=.={HOST};.;version=.=v2;.;reason=.=consecutive-failures;.;canary_ejections_total")),
        Some(1)
    );
    assert_eq!(next(&filter), reviews("v1"));
    vm.advance(Duration::from_secs(11));
    assert_eq!(next(&filter), reviews("v2"), "on trial");
    fail(&filter, 1);
    vm.advance(Duration::from_secs(19));
    assert_eq!(next(&filter), reviews("v1"), "twice as long");
    vm.advance(Duration::from_secs(3));
    (0..3).for_each(|_| end(sent(&filter), OK));
    fail(&filter, 1);
    assert_eq!(next(&filter), reviews("v2"), "it serves again");
    vm.advance(TICK);
    assert_eq!(vm.metric(&format!("host=.={HOST};.;version=.=v2;.;reason=.=trial;.;canary_ejections_total")), Some(1));
    assert_eq!(vm.metric(&format!("host=.={HOST};.;version=.=v2;.;canary_recoveries_total")), Some(1));
    let logged = health_log(&vm);
    let beginnings = [
        r#"ejected: "v2" of reviews.default.svc.cluster.local for 1"#,
        r#"ejected: "v2" of reviews.default.svc.cluster.local for 2"#,
        r#"on trial: "v2" of reviews.default.svc.cluster.local"#,
        r#"on trial: "v2" of reviews.default.svc.cluster.local"#,
        r#"recovered: "v2" of reviews.default.svc.cluster.local after 3 successes in succession"#,
    ];
    assert_eq!(logged.len(), beginnings.len(), "{logged:?}");
    assert!(logged.iter().zip(beginnings).all(|(line, beginning)| line.starts_with(beginning)), "{logged:?}");
    assert!(logged[0].ends_with("(number 1 in succession): 2 failures in succession"), "{logged:?}");
    assert!(logged[1].ends_with("(number 2 in succession): a request of its trial failed"), "{logged:?}");
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn a_default_is_enough_to_fall_back_to() {
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    let policy = json!({"hosts": ["reviews"], "defaultSubset": "v1", "failureAccrual": {
        "consecutiveFailures": 2, "ejection": "10s", "trial": {"percentage": {"value": 100}}}});
    let vm = started();
    let filter = vm.plugin(document(rule, json!({"policies": [policy]}))).unwrap();
    fail(&filter, 2);
    assert_eq!(next(&filter), reviews("v1"));
    vm.advance(Duration::from_secs(12));
    assert_eq!(next(&filter), reviews("v2"), "on trial in time");
    (0..3).for_each(|_| end(sent(&filter), OK));
    vm.advance(TICK);
    let logged = health_log(&vm);
    assert_eq!(logged.len(), 3, "ejected, on trial, recovered: {logged:?}");
}

#[test]
fn which_results_count() {
    let flag = |bit: u32| End { flags: 1 << bit, status: 503, ..OK };
    let status = |status| End { status, ..OK };
    let grpc = |grpc| End { grpc: Some(grpc), ..OK };
    let ordinary = json!({});
    let chosen = json!({"statuses": ["429", 404, "4xx"], "grpcStatuses": ["not-found"]});
    // A failure (-), a success (+), which ends a succession, or neither (0).
    for (row, settings, kind, end, expected) in [
        ("503 of the upstream", &ordinary, "", FAILED, '-'),
        ("500", &ordinary, "", status(500), '-'),
        ("599", &ordinary, "", status(599), '-'),
        ("499", &ordinary, "", status(499), '+'),
        ("200", &ordinary, "", OK, '+'),
        ("404", &ordinary, "", status(404), '+'),
        ("no status", &ordinary, "", status(0), '0'),
        ("a chosen class excludes others", &chosen, "", status(503), '+'),
        ("a chosen status as text", &chosen, "", status(429), '-'),
        ("a chosen status as a number", &chosen, "", status(404), '-'),
        ("UF, refused", &ordinary, "", flag(5), '-'),
        ("UC, reset before the answer", &ordinary, "", flag(6), '-'),
        ("UR, reset by the upstream", &ordinary, "", flag(4), '-'),
        ("LR, reset by the proxy", &ordinary, "", flag(3), '-'),
        ("UC after 101, the server has closed", &ordinary, "", End { status: 101, ..flag(6) }, '0'),
        ("UR after 101", &ordinary, "", End { status: 101, ..flag(4) }, '0'),
        ("UMSDR after 101", &ordinary, "", End { status: 101, ..flag(19) }, '0'),
        ("LR after 101", &ordinary, "", End { status: 101, ..flag(3) }, '0'),
        ("UC after 200", &ordinary, "", End { status: 200, ..flag(6) }, '-'),
        ("101", &ordinary, "", status(101), '+'),
        ("UT, timeout", &ordinary, "", flag(2), '-'),
        ("UMSDR, longest duration", &ordinary, "", flag(19), '-'),
        ("UPE after a 200", &ordinary, "", End { status: 200, ..flag(23) }, '-'),
        ("URX, the last try answered 503", &ordinary, "", flag(15), '-'),
        ("URX and UF", &ordinary, "", End { flags: 32_800, status: 503, ..OK }, '-'),
        ("DI, delayed and then served", &ordinary, "", End { status: 200, ..flag(9) }, '+'),
        ("UF without an address", &ordinary, "", End { reached: false, ..flag(5) }, '0'),
        ("UO, overflow", &ordinary, "", End { reached: false, ..flag(7) }, '0'),
        ("UO after a try", &ordinary, "", flag(7), '0'),
        ("FI, aborted", &ordinary, "", End { reached: false, ..flag(10) }, '0'),
        ("RL, rate limited", &ordinary, "", End { reached: false, status: 429, ..flag(11) }, '0'),
        ("UAEX, not authorised", &ordinary, "", End { reached: false, status: 403, ..flag(12) }, '0'),
        ("DC, the client has gone", &ordinary, "", flag(14), '0'),
        ("DC after a timeout", &ordinary, "", End { flags: (1 << 14) | 4, ..FAILED }, '0'),
        ("DR, reset by the client", &ordinary, "", flag(28), '0'),
        ("DPE, a client's protocol error", &ordinary, "", flag(18), '0'),
        ("OM, overload", &ordinary, "", flag(25), '0'),
        ("SI after the answer has begun", &ordinary, "", End { status: 200, ..flag(16) }, '0'),
        ("SI without an answer", &ordinary, "", End { status: 504, ..flag(16) }, '-'),
        ("a later flag with 200", &ordinary, "", End { flags: 1 << 40, ..OK }, '0'),
        ("another filter's 503", &ordinary, "", End { reached: false, ..FAILED }, '0'),
        ("another filter's 200", &ordinary, "", End { reached: false, ..OK }, '0'),
        ("gRPC unavailable", &ordinary, "application/grpc", grpc(14), '-'),
        ("gRPC unknown, with a suffix", &ordinary, "application/grpc+proto", grpc(2), '-'),
        ("gRPC not found", &ordinary, "application/grpc", grpc(5), '+'),
        ("gRPC OK", &ordinary, "application/grpc", grpc(0), '+'),
        ("a chosen gRPC status", &chosen, "application/grpc", grpc(5), '-'),
        ("one that is not chosen", &chosen, "application/grpc", grpc(14), '+'),
        ("a made-up gRPC status of plain HTTP", &ordinary, "", grpc(2), '+'),
        ("gRPC-Web", &ordinary, "application/grpc-web", grpc(2), '+'),
    ] {
        let vm = started();
        let filter = vm.plugin(config(settings.clone())).unwrap();
        let status = if *settings == ordinary { 503 } else { 404 };
        let mut failure = sent(&filter);
        end_at(&mut failure, End { status, ..OK }, &reviews("v2"));
        drop(failure);
        let mut judged = filter.stream();
        judged.request_headers(get("reviews", "/", &[("content-type", kind.as_bytes())]), true);
        self::end(judged, end);
        let after_one = next(&filter);
        let mut failure = sent(&filter);
        let resolved = cluster(&failure);
        end_at(&mut failure, End { status, ..OK }, &resolved);
        drop(failure);
        let found = match (after_one == reviews("v1"), next(&filter) == reviews("v1")) {
            (true, _) => '-',
            (false, true) => '0',
            (false, false) => '+',
        };
        assert_eq!(found, expected, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

/// Failures that a client can cause must not eject a version for all clients.
#[test]
fn failures_that_a_client_causes_do_not_count() {
    let flag = |bit: u32| End { flags: 1 << bit, status: 503, ..OK };
    let grpc = |grpc| End { grpc: Some(grpc), ..OK };
    let out_of_time = End { status: 504, ..flag(19) };
    let large = [b'x'; 9 * 1024];
    let deadline = ("grpc-timeout", &b"1m"[..]);
    let (plain, call) = (("x-plain", &b""[..]), ("content-type", &b"application/grpc"[..]));
    let (timeout, per_try) =
        (("x-envoy-upstream-rq-timeout-ms", &b"1"[..]), ("x-envoy-upstream-rq-per-try-timeout-ms", &b"1"[..]));
    // The request's headers, whether it is complete, its end, and whether it counts as a failure.
    for (row, headers, is_complete, end, fails) in [
        ("a deadline is over", vec![plain], true, out_of_time, true),
        ("the client's deadline is over", vec![deadline], true, out_of_time, false),
        ("the client's deadline of a gRPC call is over", vec![deadline, call], true, out_of_time, false),
        ("the server ends a call of its own", vec![call], true, grpc(4), true),
        ("the server ends a call when the client's deadline is over", vec![deadline, call], true, grpc(4), false),
        ("the server resets it then", vec![deadline, call], true, flag(4), false),
        ("a call with a deadline fails", vec![deadline, call], true, grpc(14), true),
        ("no connection for a request with a deadline", vec![deadline], true, flag(5), true),
        ("a connection breaks under a request with a deadline", vec![deadline], true, flag(6), true),
        ("a request with a deadline is answered 503", vec![deadline], true, FAILED, true),
        ("a later gateway times out", vec![deadline], true, End { status: 504, ..OK }, false),
        ("the client's timeout", vec![timeout], true, flag(2), false),
        ("the client's timeout of each try", vec![per_try], true, flag(2), false),
        ("a timeout", vec![plain], true, flag(2), true),
        ("more headers than the server takes, it resets", vec![("cookie", &large[..])], true, flag(4), false),
        ("it closes the connection", vec![("cookie", &large[..])], true, flag(6), false),
        ("it answers 500", vec![("cookie", &large[..])], true, End { status: 500, ..OK }, false),
        ("no connection for large headers", vec![("cookie", &large[..])], true, flag(5), true),
        ("an upload stalls, the server closes", vec![plain], false, flag(6), false),
        ("an upload stalls, the server answers 500", vec![plain], false, End { status: 500, ..OK }, false),
        ("an upload stalls, the proxy gives up", vec![plain], false, End { status: 504, ..flag(16) }, false),
        ("no connection for an upload", vec![plain], false, flag(5), true),
        ("a stream of the client's, the server closes", vec![call], false, flag(6), false),
        ("a stream of the client's, the server ends it", vec![call], false, grpc(14), true),
    ] {
        let vm = started();
        let filter = vm.plugin(config(json!({"consecutiveFailures": 1}))).unwrap();
        let mut stream = filter.stream();
        stream.request_headers(get("reviews", "/", &headers), is_complete);
        self::end(stream, end);
        assert_eq!(next(&filter), reviews(if fails { "v1" } else { "v2" }), "{row}");
    }
}

#[test]
fn a_rules_timeout_overrides_the_clients() {
    let rule = |more: Value| {
        let mut rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let policies =
        json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": {"consecutiveFailures": 1}}]);
    for (row, more, expected) in
        [("the rule's", json!({"timeout": "1s"}), "v1"), ("the client's", json!({"timeout": null}), "v2")]
    {
        let vm = started();
        let filter = vm.plugin(document(rule(more), json!({"policies": policies.clone()}))).unwrap();
        let mut stream = filter.stream();
        stream.request_headers(get("reviews", "/", &[("x-envoy-upstream-rq-timeout-ms", b"1")]), true);
        end(stream, End { flags: 1 << 2, status: 504, ..OK });
        assert_eq!(next(&filter), reviews(expected), "{row}");
    }
}

#[test]
fn only_the_cluster_that_served_is_judged() {
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    for _ in 0..5 {
        let mut stream = sent(&filter);
        end_at(&mut stream, FAILED, &reviews("v7"));
    }
    assert_eq!(next(&filter), reviews("v2"), "a native route has sent them elsewhere");
}

#[test]
fn the_last_version_that_can_serve_is_never_ejected() {
    let missing = End { flags: 1 << 24, status: 503, reached: false, ..OK };
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    fail(&filter, 2);
    assert_eq!(next(&filter), reviews("v1"));
    fail(&filter, 2);
    assert_eq!(next(&filter), reviews("v2"), "both are ejected: the pick serves");
    vm.advance(TICK);
    end(sent(&filter), missing);
    assert_eq!(next(&filter), reviews("v1"), "v2 is missing, and v1 is only ejected");
    vm.advance(Duration::from_secs(6));
    assert_eq!(next(&filter), reviews("v2"));
}

#[test]
fn failures_at_one_worker_eject_at_all() {
    let seeing = started();
    let filter = seeing.plugin(config(json!({}))).unwrap();
    fail(&filter, 2);
    seeing.advance(TICK);
    let shared = seeing.shared_data(SHARED).unwrap();
    drop(filter);
    drop(seeing);

    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    vm.set_shared_data(SHARED, shared.clone());
    let before = sent(&filter);
    assert_eq!(cluster(&before), reviews("v2"));
    vm.advance(TICK);
    assert_eq!(next(&filter), reviews("v1"), "known within a tick");
    end(before, FAILED);
    vm.advance(TICK);
    assert_eq!(health_log(&vm), [] as [&str; 0], "the other worker has logged it");
    assert_eq!(vm.shared_data(SHARED), Some(shared.clone()), "nothing to add");
    drop(filter);
    let late = vm.plugin(config(json!({}))).unwrap();
    assert_eq!(next(&late), reviews("v1"), "a new configuration keeps it");
    for (row, malformed) in [("no pairs", b"\xff\xff\xff\xff".to_vec()), ("cut", shared[..shared.len() - 9].to_vec())] {
        vm.set_shared_data(SHARED, malformed);
        vm.advance(TICK);
        assert_eq!(next(&late), reviews("v1"), "{row}");
        assert_eq!(vm.shared_data(SHARED), Some(shared.clone()), "{row}: put right");
    }
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn a_worker_accepts_that_another_has_forgotten_a_state() {
    const LATER: u64 = START + 4_000_000_000_000;
    let other = started();
    other.set_time(LATER);
    let filter = other.plugin(config(json!({}))).unwrap();
    fail(&filter, 2);
    other.advance(TICK);
    let shared = other.shared_data(SHARED).unwrap();
    drop(filter);
    drop(other);

    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    fail(&filter, 2);
    vm.advance(Duration::from_secs(12));
    (0..3).for_each(|_| end(sent(&filter), OK));
    let stream = sent(&filter);
    assert_eq!(cluster(&stream), reviews("v2"), "it has recovered, and is kept during this request");
    vm.set_time(LATER);
    vm.set_shared_data(SHARED, shared.clone());
    vm.advance(TICK);
    assert_eq!(vm.shared_data(SHARED), Some(shared), "the other worker's new state stays");
    assert_eq!(next(&filter), reviews("v1"), "and counts");
}

#[test]
fn an_exchange_survives_a_faster_worker() {
    let vm = started();
    let filter = vm.plugin(config(json!({"consecutiveFailures": 4}))).unwrap();
    fail(&filter, 2);
    vm.advance(TICK);
    let two = vm.shared_data(SHARED).unwrap();
    fail(&filter, 1);
    vm.set_shared_data_between(two);
    vm.advance(TICK);
    assert_eq!(next(&filter), reviews("v2"), "three, although the exchange was repeated");
    fail(&filter, 1);
    assert_eq!(next(&filter), reviews("v1"), "four");
}

#[test]
fn a_new_configuration_keeps_what_still_applies() {
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    fail(&filter, 2);
    assert_eq!(next(&filter), reviews("v1"));
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    let without = document(rule, json!({"policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]}));
    let plain = vm.plugin(without).unwrap();
    assert_eq!(next(&plain), reviews("v2"), "without failure accrual nothing is ejected");
    fail(&plain, 5);
    let again = vm.plugin(config(json!({"ejection": "60s"}))).unwrap();
    assert_eq!(next(&again), reviews("v1"), "still ejected");
    vm.advance(Duration::from_secs(12));
    assert_eq!(next(&again), reviews("v2"), "for the rest of the ejection");
    vm.set_time(START - 3_600_000_000_000);
    fail(&again, 1);
    vm.advance(TICK);
    assert_eq!(next(&again), reviews("v2"), "the ejection ends although the clock was set back");
}

#[test]
fn host_calls_are_made_only_if_configured() {
    let calls = |vm: &Vm| ["proxy_get_property", "proxy_get_shared_data"].map(|import| vm.calls(import));
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    let plain = document(rule, json!({"policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]}));
    // The calls that the end of a second success makes (one of them for the metrics), and a tick.
    for (row, document, expected) in [
        ("no failure accrual", plain, [2, 1]),
        ("failures in succession", config(json!({})), [3, 2]),
        ("a ratio", config(json!({"failureRatio": 0.5})), [5, 2]),
    ] {
        let vm = started();
        let filter = vm.plugin(document).unwrap();
        end(sent(&filter), OK);
        // The first exchange of a VM needs one more call.
        vm.advance(TICK);
        let stream = sent(&filter);
        let before = calls(&vm);
        end(stream, OK);
        let ended = calls(&vm);
        vm.advance(TICK);
        let ticked = calls(&vm);
        assert_eq!([ended[0] - before[0], ticked[1] - ended[1]], expected, "{row}");
    }
}

#[test]
fn a_failing_host_fails_no_request() {
    for call in [
        "proxy_get_property",
        "proxy_get_current_time_nanoseconds",
        "proxy_get_shared_data",
        "proxy_set_shared_data",
        "proxy_define_metric",
        "proxy_increment_metric",
    ] {
        let vm = started();
        let filter = vm.plugin(config(json!({}))).unwrap();
        vm.fail(call, 10);
        fail(&filter, 2);
        let expected = if call == "proxy_get_property" { "v2" } else { "v1" };
        assert_eq!(next(&filter), reviews(expected), "{call}");
        vm.advance(TICK);
        let logged = vm.logged(LogLevel::Error);
        assert!(!logged.is_empty() && logged.iter().all(|line| line.starts_with(call)), "{call}: {logged:?}");
        vm.heal();
        vm.advance(Duration::from_secs(12));
        assert_eq!(next(&filter), reviews("v2"), "{call}: over in time");
    }
}

#[test]
fn memory_is_bounded() {
    let vm = started();
    let mut last = None;
    for round in 0..11 {
        let subset = |number: usize| format!("v{}", round * 100 + number);
        let rules = (0..100).map(|number| {
            json!({"match": [{"uri": {"exact": format!("/{number}")}}],
                   "route": [{"destination": {"host": "reviews", "subset": subset(number)}}]})
        });
        let document = json!({"virtualServices": [{"hosts": ["reviews"], "http": rules.collect::<Vec<_>>()}],
            "services": [{"host": "reviews", "ports": [9080]}],
            "policies": [{"hosts": ["reviews"], "fallback": ["w", "v"], "failureAccrual": {"consecutiveFailures": 1}}]});
        let filter = vm.plugin(document.to_string()).unwrap();
        for number in 0..100 {
            let mut stream = filter.stream();
            stream.request_headers(get("reviews", &format!("/{number}"), &[]), true);
            assert_eq!(cluster(&stream), reviews(&subset(number)));
            end(stream, FAILED);
        }
        last = Some(filter);
    }
    vm.advance(TICK);
    let shared = vm.shared_data(SHARED).unwrap();
    assert_eq!(u32::from_le_bytes(*shared.first_chunk().unwrap()), 1_024);
    assert!(shared.len() < 1_024 * 200, "{}", shared.len());
    assert!(
        vm.metric("host=.=overflow;.;version=.=overflow;.;reason=.=consecutive-failures;.;canary_ejections_total")
            .is_some()
    );
    vm.set_time(START + 3_700_000_000_000);
    vm.advance(TICK);
    assert_eq!(vm.shared_data(SHARED).unwrap(), [0; 4], "after an hour all are forgotten");
    drop(last);
}
