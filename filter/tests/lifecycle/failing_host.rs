//! Hosts whose calls fail: the request is served, and the log has the error.

use std::time::Duration;

use crate::fixture::{BOOKINFO, CONTROL_HEADERS, document, get, response_values, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::Vm;
use serde_json::{Value, json};

#[test]
fn a_failing_host_never_fails_the_request() {
    let forged: Vec<(&str, &[u8])> = CONTROL_HEADERS.into_iter().map(|name| (name, &b"forged"[..])).collect();
    let status_of = |import| match import {
        "proxy_get_header_map_pairs" => [1, 2, 4711],
        _ => [2, 10, 4711],
    };
    for (row, import, path, left, errors) in [
        ("no map: stripped unseen", "proxy_get_header_map_pairs", "/ratings/1", 0, 1),
        ("no replace: no forged value stays", "proxy_replace_header_map_value", "/ratings/1", 0, 1),
        ("no remove: the rest is done", "proxy_remove_header_map_value", "/ratings/1", 7, 6),
        ("no local response: the native route serves", "proxy_send_local_response", "/other", 0, 1),
    ] {
        for status in status_of(import) {
            let vm = start();
            let plugin = vm.plugin(BOOKINFO).unwrap();
            vm.fail(import, status);
            let mut stream = plugin.stream();
            assert_eq!(stream.request_headers(get("ratings", path, &forged), true), Action::Continue, "{row}");
            let control = stream.request().into_iter().filter(|(name, _)| name.starts_with(b"x-canary-")).count();
            assert_eq!(control, left, "{row}, status {status}");
            let logged = vm.logged(LogLevel::Error);
            assert_eq!(logged.len(), errors, "{row}: {logged:?}");
            assert!(
                logged.iter().all(|line| line.starts_with(&format!("{import}: the host returned"))),
                "{row}: {logged:?}"
            );
            vm.heal();
            let mut next = plugin.stream();
            next.request_headers(get("reviews", "/", &forged), true);
            assert_eq!(next.request_values("x-canary-version"), [b"v1"], "{row}: the next request is served as usual");
        }
    }
}

#[test]
fn a_malformed_map_counts_as_missing() {
    let vm = start();
    let plugin = vm.plugin(BOOKINFO).unwrap();
    vm.answer_pairs(b"\xff\xff\xff\xff");
    let mut stream = plugin.stream();
    let forged = [("x-canary-cluster", &b"forged"[..])];
    assert_eq!(stream.request_headers(get("reviews", "/", &forged), true), Action::Continue);
    assert_eq!(stream.request().len(), 4);
    let malformed =
        "proxy_get_header_map_pairs: the host returned malformed data: the request is left to the native routes";
    assert_eq!(vm.logged(LogLevel::Error), [malformed]);
}

fn delay() -> Value {
    json!({"fixedDelay": "50ms", "percentage": {"value": 100}})
}

fn abort() -> Value {
    json!({"httpStatus": 500, "percentage": {"value": 100}})
}

/// A rule that writes request and response headers by every operation.
fn rewriting() -> Value {
    json!({
        "headers": {"request": {"set": {"x-a": "1"}, "add": {"x-b": "1"}, "remove": ["x-gone"]},
                    "response": {"set": {"x-a": "1"}, "add": {"x-b": "1"}, "remove": ["x-gone"]}},
        "rewrite": {"uri": "/new", "authority": "new"}, "timeout": "1s", "mirror": {"host": "reviews", "subset": "v2"},
        "retries": {"attempts": 1, "retryOn": "5xx,unavailable,503", "perTryTimeout": "1s"}})
}

/// Asserts that every logged failure is one of this call.
fn assert_logged(vm: &Vm, call: &str, row: &str) {
    let logged = vm.logged(LogLevel::Error);
    assert!(!logged.is_empty() && logged.iter().all(|line| line.starts_with(call)), "{row}: {logged:?}");
}

#[test]
fn in_the_request_phase_the_request_is_not_delayed() {
    let address = json!({"headers": {"request": {"set": {"x-a": "%DOWNSTREAM_REMOTE_ADDRESS%"}}}});
    let none_active = json!({"faults": {"maxActive": 0}});
    for (call, rule, more) in [
        ("proxy_get_header_map_pairs", rewriting(), json!({})),
        ("proxy_replace_header_map_value", rewriting(), json!({})),
        ("proxy_add_header_map_value", rewriting(), json!({})),
        ("proxy_remove_header_map_value", rewriting(), json!({})),
        ("proxy_get_property", address, json!({})),
        ("proxy_send_local_response", json!({"fault": {"abort": abort()}}), json!({})),
        ("proxy_get_current_time_nanoseconds", json!({"fault": {"delay": delay()}}), json!({})),
        ("proxy_set_tick_period_milliseconds", json!({"fault": {"delay": delay()}}), json!({})),
        ("proxy_define_metric", json!({"fault": {"delay": delay()}}), none_active.clone()),
        ("proxy_increment_metric", json!({"fault": {"delay": delay()}}), none_active),
    ] {
        for status in [2, 10, 4711] {
            let row = format!("{call} answers {status}");
            let vm = start();
            if call == "proxy_define_metric" {
                // The metric is defined with the configuration, and again after a failure.
                vm.fail(call, status);
            }
            let plugin = vm.plugin(document(rule.clone(), more.clone())).unwrap();
            vm.fail(call, status);
            let mut stream = plugin.stream();
            let forged: [(&str, &[u8]); 2] = [("x-gone", b"1"), ("x-canary-explain", b"forged")];
            assert_eq!(stream.request_headers(get("reviews", "/", &forged), true), Action::Continue, "{row}");
            assert_logged(&vm, call, &row);
            vm.heal();
            vm.advance(Duration::from_millis(100));
            assert_eq!((vm.ticking(), vm.resumed().len(), stream.answered_at()), (0, 0, None), "{row}");
            if call.ends_with("_metric") {
                plugin.stream().request_headers(get("reviews", "/", &[]), true);
                assert_eq!(vm.metric("canary_delays_skipped_total"), Some(1), "{row}: the next one counts");
            }
        }
    }
}

#[test]
fn in_a_tick_the_request_is_resumed_as_soon_as_possible() {
    let delayed = json!({"fault": {"delay": delay()}});
    let aborted = json!({"fault": {"delay": delay(), "abort": abort()}});
    // Name, call, rule, whether the request goes on while the call fails, whether it is finally answered.
    for (row, call, rule, goes_on, is_answered) in [
        ("no time: the delay ends now", "proxy_get_current_time_nanoseconds", &delayed, true, false),
        ("no context: it waits", "proxy_set_effective_context", &delayed, false, false),
        ("no context for an answer: it waits", "proxy_set_effective_context", &aborted, false, true),
        ("not resumed: it waits", "proxy_continue_stream", &delayed, false, false),
        ("no answer: the native route serves", "proxy_send_local_response", &aborted, true, false),
        ("no end of the tick", "proxy_set_tick_period_milliseconds", &delayed, true, false),
    ] {
        for status in [10, 4711] {
            let vm = start();
            let plugin = vm.plugin(document(rule.clone(), json!({}))).unwrap();
            let mut stream = plugin.stream();
            assert_eq!(stream.request_headers(get("reviews", "/", &[]), true), Action::Pause, "{row}");
            vm.fail(call, status);
            vm.advance(Duration::from_millis(200));
            assert_eq!(!stream.is_paused(), goes_on, "{row}, status {status}");
            assert_logged(&vm, call, row);
            vm.heal();
            vm.advance(Duration::from_millis(20));
            assert_eq!(stream.answered_at().is_some(), is_answered, "{row}, status {status}");
            assert_eq!(stream.resumed_at().is_some(), !is_answered, "{row}, status {status}");
            vm.advance(Duration::from_millis(20));
            assert_eq!(vm.ticking(), 0, "{row}, status {status}");
        }
    }
}

#[test]
fn a_client_that_leaves_while_the_host_fails_leaves_no_state() {
    let vm = start();
    let plugin = vm.plugin(document(json!({"fault": {"delay": delay()}}), json!({}))).unwrap();
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    vm.fail("proxy_continue_stream", 10);
    vm.advance(Duration::from_millis(100));
    drop(stream);
    let logged = vm.logged(LogLevel::Error).len();
    vm.advance(Duration::from_millis(100));
    assert_eq!((vm.logged(LogLevel::Error).len(), vm.ticking()), (logged, 0));
}

#[test]
fn if_a_new_configuration_cannot_tick_the_old_one_ends_the_delays() {
    let vm = start();
    let old = vm.plugin(document(json!({"fault": {"delay": delay()}}), json!({}))).unwrap();
    let mut stream = old.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    vm.fail("proxy_set_tick_period_milliseconds", 10);
    let _new = vm.plugin("{}").unwrap();
    assert_logged(&vm, "proxy_set_tick_period_milliseconds", "the new one");
    vm.heal();
    vm.advance(Duration::from_millis(60));
    assert!(stream.resumed_at().is_some());
}

#[test]
fn in_the_response_phase_the_other_changes_are_applied() {
    for (call, left) in [
        ("proxy_replace_header_map_value", [("x-b", 1), ("x-a", 0), ("x-gone", 0)]),
        ("proxy_add_header_map_value", [("x-b", 0), ("x-a", 1), ("x-gone", 0)]),
        ("proxy_remove_header_map_value", [("x-b", 1), ("x-a", 1), ("x-gone", 1)]),
    ] {
        for status in [2, 10, 4711] {
            let vm = start();
            let plugin = vm.plugin(document(rewriting(), json!({}))).unwrap();
            let mut stream = plugin.stream();
            stream.request_headers(get("reviews", "/", &[]), true);
            vm.fail(call, status);
            let action = stream.response_headers([(":status", "200"), ("x-gone", "1")], true);
            assert_eq!(action, Action::Continue, "{call} answers {status}");
            for (name, lines) in left {
                assert_eq!(response_values(&stream, name).len(), lines, "{call} answers {status}: {name}");
            }
            assert_logged(&vm, call, "response");
        }
    }
}
