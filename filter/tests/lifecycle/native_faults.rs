//! `faults.delay: faultFilter`: headers make Envoy's own fault filter apply the faults.

use std::time::Duration;

use crate::fixture::{BOOKINFO, changed, changes, document, get, preflight, response_values, reviews, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use serde_json::json;

const FAULT_HEADERS: [&str; 8] = [
    "x-envoy-fault-abort-request",
    "x-envoy-fault-abort-request-percentage",
    "x-envoy-fault-abort-grpc-request",
    "x-envoy-fault-abort-grpc-request-percentage",
    "x-envoy-fault-delay-request",
    "x-envoy-fault-delay-request-percentage",
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

#[test]
fn delays_and_aborts_become_headers_and_the_request_goes_on() {
    let always = json!({"value": 100});
    let delay = json!({"fixedDelay": "1.5s", "percentage": always});
    let http = json!({"httpStatus": 503, "percentage": always});
    let grpc = json!({"grpcStatus": "NOT_FOUND", "percentage": always});
    let never = json!({"httpStatus": 503, "percentage": {"value": 0}});
    let cluster = reviews("v1");
    let forward = [("x-canary-version", "v1"), ("x-canary-cluster", cluster.as_str())];
    for (row, fault, forwarded, expected) in [
        ("delay", json!({"delay": delay}), true, vec![("x-envoy-fault-delay-request", "1500")]),
        ("abort by HTTP", json!({"abort": http}), false, vec![("x-envoy-fault-abort-request", "503")]),
        ("abort by gRPC", json!({"abort": grpc}), false, vec![("x-envoy-fault-abort-grpc-request", "5")]),
        (
            "both",
            json!({"delay": delay, "abort": http}),
            false,
            vec![("x-envoy-fault-delay-request", "1500"), ("x-envoy-fault-abort-request", "503")],
        ),
        ("an abort with 0 %", json!({"abort": never}), true, vec![]),
    ] {
        let vm = start();
        let rule = json!({"fault": fault, "headers": {"response": {"set": {"x-a": "1"}, "add": {"x-a": "2"}}}});
        let plugin = vm.plugin(document(rule, json!({"faults": {"delay": "faultFilter"}}))).unwrap();
        let mut stream = plugin.stream();
        let before = get("reviews", "/", &[]);
        assert_eq!(stream.request_headers(before.clone(), true), Action::Continue, "{row}");
        let mut all = changes(&expected);
        all.extend(changes(if forwarded { &forward } else { &[] }));
        assert_eq!(changed(&before, &stream.request()), all, "{row}");
        stream.response_headers([(":status", "503"), ("x-a", "native")], true);
        assert_eq!(response_values(&stream, "x-a"), ["1", "2"], "{row}");
        assert_eq!((stream.local_response(), vm.ticking()), (None, 0), "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_local_reply_is_delayed_by_the_filters_own_timer() {
    let rule = json!({"corsPolicy": {"allowOrigins": [{"exact": "http://a.io"}]},
                      "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 100}}}});
    let vm = start();
    let plugin = vm.plugin(document(rule, json!({"faults": {"delay": "faultFilter"}}))).unwrap();
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers(preflight(), true), Action::Pause);
    assert!(stream.is_paused() && stream.request_values("x-envoy-fault-delay-request").is_empty());
    vm.advance(Duration::from_millis(1_010));
    assert_eq!(stream.local_response().unwrap().details, "canary_cors_preflight");
}

#[test]
fn clients_fault_headers_are_removed_if_the_fault_filter_reads_them() {
    for (row, faults, left) in [("faultFilter", r#"{"delay": "faultFilter"}"#, 0), ("timer", "{}", 8)] {
        let vm = start();
        let plugin = vm.plugin(BOOKINFO.replacen('{', &format!(r#"{{"faults": {faults},"#), 1)).unwrap();
        for authority in ["reviews", "ratings", "elsewhere", ""] {
            for (map, forged) in [("readable", false), ("unreadable", true)] {
                let headers: Vec<(&str, &[u8])> = FAULT_HEADERS.into_iter().map(|name| (name, &b"1"[..])).collect();
                if forged {
                    vm.fail("proxy_get_header_map_pairs", 2);
                }
                let mut stream = plugin.stream();
                stream.request_headers(get(authority, "/ratings/1", &headers), true);
                let found =
                    stream.request().into_iter().filter(|(name, _)| name.starts_with(b"x-envoy-fault-")).count();
                assert_eq!(found, left, "{row}, {authority:?}, headers {map}");
                vm.heal();
            }
        }
    }
}

#[test]
fn a_clients_fault_header_is_removed_if_the_write_fails() {
    let rule = json!({"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}});
    let vm = start();
    let plugin = vm.plugin(document(rule, json!({"faults": {"delay": "faultFilter"}}))).unwrap();
    vm.fail("proxy_replace_header_map_value", 10);
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[("x-envoy-fault-abort-request", b"418")]), true);
    assert!(stream.request_values("x-envoy-fault-abort-request").is_empty());
}
