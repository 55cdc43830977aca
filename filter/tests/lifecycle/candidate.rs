//! The candidate's decisions are compared, counted and logged, and never applied.

use crate::accrual::cluster;
use crate::fixture::{document, get, reviews, start};
use sdk_shims::host::LogLevel;
use serde_json::{Value, json};

/// The live rules use v1. The candidate has a rule for the same host.
fn config(rule: Value, more: Value) -> String {
    let mut candidate = json!({"virtualServices": [{"hosts": ["reviews"], "http": [rule]}]});
    candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(json!({}), json!({"candidate": candidate}))
}

#[test]
fn the_candidate_is_counted_and_changes_nothing() {
    let to = |subset: &str| json!([{"destination": {"host": "reviews", "subset": subset}}]);
    // Name, the candidate's rule, more of it, a request's path, how many of 20 are compared, and differ in what.
    for (row, rule, more, host, compared, respects) in [
        ("the same", json!({"route": to("v1")}), json!({}), "reviews", 20, vec![]),
        ("another version", json!({"route": to("v2")}), json!({}), "reviews", 20, vec!["version", "cluster"]),
        ("an answer", json!({"redirect": {"uri": "/x"}}), json!({}), "reviews", 20, vec!["outcome"]),
        ("a rewrite", json!({"route": to("v1"), "rewrite": {"uri": "/x"}}), json!({}), "reviews", 20, vec!["rewrite"]),
        ("a host without rules in both", json!({"route": to("v2")}), json!({}), "other.io", 20, vec![]),
        ("a percentage of 0", json!({"route": to("v2")}), json!({"percentage": 0}), "reviews", 0, vec![]),
    ] {
        let vm = start();
        vm.set_time(1_795_000_000_000_000_000);
        let filter = vm.plugin(config(rule, more)).unwrap();
        for _ in 0..20 {
            let mut stream = filter.stream();
            stream.request_headers(get(host, "/", &[]), true);
            if host == "reviews" {
                assert_eq!(cluster(&stream), reviews("v1"), "{row}");
                assert_eq!(stream.request_values(":path"), [b"/"], "{row}");
            }
            assert!(stream.local_response().is_none(), "{row}");
        }
        let count = |name: &str| vm.metric(&format!("canary_candidate_{name}")).unwrap_or_default();
        let differing = if respects.is_empty() { 0 } else { compared };
        assert_eq!((count("compared_total"), count("differing_total")), (compared, differing), "{row}");
        for respect in
            ["outcome", "version", "cluster", "local-reply", "faults", "rewrite", "headers", "retries", "mirrors"]
        {
            let expected = if respects.contains(&respect) { compared } else { 0 };
            let differences =
                vm.metric(&format!("type=.={respect};.;canary_candidate_differences_total")).unwrap_or_default();
            assert_eq!(differences, expected, "{row}: {respect}");
        }
        let logged = vm.logged(LogLevel::Info).into_iter().filter(|line| line.starts_with("the candidate differs"));
        assert_eq!(logged.count(), usize::from(differing > 0), "{row}: logged once a second: {:?}", vm.log());
    }
}
