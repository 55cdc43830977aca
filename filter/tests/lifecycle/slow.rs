//! Requests that a version does not answer in time.

use proxy_wasm::types::Action;
use std::time::Duration;

use crate::accrual::{FAILED, OK, TICK, config, end, fail, next, reach, sent, started};
use crate::fixture::{document, get, reviews};
use sdk_shims::test_host::Stream;
use serde_json::json;

#[test]
fn slow_requests_count_while_they_wait() {
    let slow = json!({"slowAfter": "1s"});
    let second = Duration::from_secs(1);
    // How two requests wait: whether they are complete, whether they are answered, and the waiting time.
    for (row, settings, body, answered, waits, ejected) in [
        ("not yet", &slow, None, false, second, false),
        ("too long", &slow, None, false, second + 2 * TICK, true),
        ("answered in time", &slow, None, true, 5 * second, false),
        ("still being sent", &slow, Some(false), false, 5 * second, false),
        ("sent later", &slow, Some(true), false, second + 2 * TICK, true),
        ("no limit", &json!({}), None, false, 3_600 * second, false),
        ("never sent on", &slow, None, false, 5 * second, false),
    ] {
        let vm = started();
        let filter = vm.plugin(config(settings.clone())).unwrap();
        let mut waiting: Vec<_> = (0..2).map(|_| filter.stream()).collect();
        for stream in &mut waiting {
            assert_eq!(stream.request_headers(get("reviews", "/", &[]), body.is_none()), Action::Continue);
            if let Some(is_last) = body {
                assert_eq!(stream.request_body(3, is_last), Action::Continue);
            }
            if *row != *"never sent on" {
                reach(stream);
            }
            if answered {
                stream.response_headers([(":status", "200")], false);
            }
        }
        vm.advance(waits);
        assert_eq!(next(&filter), reviews(if ejected { "v1" } else { "v2" }), "{row}");
    }
}

#[test]
fn a_slow_request_counts_once() {
    let vm = started();
    let filter = vm.plugin(config(json!({"slowAfter": "1s", "consecutiveFailures": 3}))).unwrap();
    let (mut late_success, mut late_failure) = (sent(&filter), sent(&filter));
    reach(&mut late_success);
    reach(&mut late_failure);
    vm.advance(Duration::from_secs(2));
    end(late_success, OK);
    end(late_failure, FAILED);
    assert_eq!(next(&filter), reviews("v2"), "two failures, which are neither undone nor counted twice");
    fail(&filter, 1);
    assert_eq!(next(&filter), reviews("v1"), "the third");
}

/// A request at one time: the try, the cluster if it is not the failover cluster, and the endpoint's metadata.
type At = (u64, Option<&'static str>, (&'static str, &'static str, String));

#[test]
fn only_the_wait_for_the_picked_version_counts() {
    const METADATA: [&str; 3] = ["xds", "upstream_host_metadata", "filter_metadata"];
    let version = |name: &str| ("canary", "version", name.to_owned());
    let istios = |revision: &str| ("istio", "workload", format!("reviews-0;default;reviews;{revision};Kubernetes"));
    let silent = || ("other", "key", String::new());
    let set = |stream: &mut Stream<'_>, (number, elsewhere, (namespace, key, value)): &At| {
        if let Some(cluster) = *elsewhere {
            stream.set_property(&["xds", "cluster_name"], cluster);
        }
        stream.set_property(&["upstream", "request_attempt_count"], number.to_le_bytes());
        stream.set_property(&[&METADATA[..], &[namespace, key]].concat(), value.as_str());
    };
    // How a request waits: from the beginning, and from 1.1 and 1.5 s on; a wait of 2 s ejects. It waits for 2.5 s in all.
    for (row, moments, expected) in [
        ("the picked one's endpoint", vec![(1, None, version("v2"))], "v1"),
        ("another's", vec![(1, None, version("v1"))], "v2"),
        ("another's after a try", vec![(1, None, version("v2")), (2, None, version("v1"))], "v2"),
        ("the picked one's after another's", vec![(1, None, version("v1")), (2, None, version("v2"))], "v2"),
        (
            "the picked one's, another's, and again its own",
            vec![(1, None, version("v2")), (2, None, version("v1")), (3, None, version("v2"))],
            "v2",
        ),
        ("the picked one's by Istio's revision", vec![(1, None, istios("r2"))], "v1"),
        ("another's by Istio's revision", vec![(1, None, istios("r1"))], "v2"),
        ("an unknown revision", vec![(1, None, istios("latest"))], "v1"),
        ("an endpoint without metadata", vec![(1, None, silent())], "v1"),
        ("another cluster by a native route", vec![(1, Some("batch"), silent())], "v2"),
    ] {
        let vm = started();
        let defined = |name: &str| json!({"name": name, "labels": {"version": name.replace('v', "r")}});
        let subsets = ["v1", "v2"].map(defined);
        let accrual = json!({"slowAfter": "2s", "consecutiveFailures": 1});
        let fields = json!({
            "clusters": {"failover": true},
            "destinationRules": [{"host": "reviews", "subsets": subsets}],
            "policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": accrual}]});
        let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
        let filter = vm.plugin(document(rule, fields)).unwrap();
        let mut stream = sent(&filter);
        reach(&mut stream);
        let waits = [1_100, 400, 1_000].map(Duration::from_millis);
        for (moment, wait) in moments.iter().map(Some).chain([None, None]).zip(waits) {
            if let Some(moment) = moment {
                set(&mut stream, moment);
            }
            vm.advance(wait);
        }
        let next = next(&filter);
        assert_eq!(next.trim_start_matches("failover|"), reviews(expected), "{row}");
    }
}

#[test]
fn the_wait_of_a_request_with_large_headers_does_not_count() {
    for (size, expected) in [(100, "v1"), (9_000, "v2")] {
        let vm = started();
        let filter = vm.plugin(config(json!({"slowAfter": "1s", "consecutiveFailures": 1}))).unwrap();
        let mut stream = filter.stream();
        stream.request_headers(get("reviews", "/", &[("x-large", &vec![b'a'; size])]), true);
        reach(&mut stream);
        vm.advance(Duration::from_secs(2));
        assert_eq!(next(&filter), reviews(expected), "{size} bytes");
    }
}

#[test]
fn trailers_end_a_request() {
    let vm = started();
    let filter = vm.plugin(config(json!({"slowAfter": "1s", "consecutiveFailures": 1}))).unwrap();
    let mut stream = filter.stream();
    stream.request_headers(get("reviews", "/", &[]), false);
    reach(&mut stream);
    vm.advance(Duration::from_secs(5));
    assert_eq!(stream.request_trailers(1), Action::Continue);
    assert_eq!(next(&filter), reviews("v2"));
    vm.advance(Duration::from_millis(1_300));
    assert_eq!(next(&filter), reviews("v1"));
}

#[test]
fn an_injected_delay_does_not_count_as_slow() {
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v2"}}],
                      "fault": {"delay": {"fixedDelay": "5s", "percentage": {"value": 100}}}});
    let policies = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"],
                           "failureAccrual": {"slowAfter": "1s", "consecutiveFailures": 1}}]);
    // When the request is complete, and when it is slow: a second after that, or after the delay if that is later.
    for (row, sent_after, slow_after) in [
        ("without a body", None, 6_000),
        ("with a body", Some(5_100), 6_100),
        ("with a body that takes longer", Some(8_000), 9_000),
    ] {
        let vm = started();
        let filter = vm.plugin(document(rule.clone(), json!({"policies": policies.clone()}))).unwrap();
        let mut delayed = filter.stream();
        delayed.request_headers(get("reviews", "/", &[]), sent_after.is_none());
        reach(&mut delayed);
        if let Some(after) = sent_after {
            vm.advance(Duration::from_millis(after));
            delayed.request_body(3, true);
        }
        vm.advance(Duration::from_millis(slow_after - 100 - sent_after.unwrap_or(0)));
        assert_eq!(next(&filter), reviews("v2"), "{row}: not yet");
        vm.advance(Duration::from_millis(500));
        assert_eq!(next(&filter), reviews("v1"), "{row}");
    }
}

#[test]
fn the_wait_begins_when_the_request_has_a_connection() {
    let vm = started();
    let filter = vm.plugin(config(json!({"slowAfter": "1s", "consecutiveFailures": 1}))).unwrap();
    let mut stream = sent(&filter);
    vm.advance(Duration::from_secs(5));
    reach(&mut stream);
    vm.advance(Duration::from_millis(900));
    assert_eq!(next(&filter), reviews("v2"), "it has waited 0.9 s for the version");
    vm.advance(Duration::from_millis(400));
    assert_eq!(next(&filter), reviews("v1"));
}
