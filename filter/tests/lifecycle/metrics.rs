//! The filter's metrics, and its filter state for access logs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fixture::{document, get, preflight, start};
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

const HOST: &str = "reviews.default.svc.cluster.local";
const START: u64 = 1_795_000_000_123_456_789;
const MS: u64 = 1_000_000;
/// The host calls that a request may make.
const CALLS: [&str; 9] = [
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_set_property",
    "proxy_get_property",
    "proxy_get_current_time_nanoseconds",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
];

fn started() -> Vm {
    let vm = start();
    vm.set_time(START);
    vm
}

/// The short name of a series: `canary_requests_total reviews v1 rule`.
fn short(name: &str) -> String {
    let mut parts: Vec<_> = name.split(";.;").collect();
    let metric = parts.pop().unwrap();
    let values =
        parts.into_iter().map(|part| part.split_once("=.=").unwrap().1.replace(".default.svc.cluster.local", ""));
    std::iter::once(metric.to_owned()).chain(values).collect::<Vec<_>>().join(" ")
}

/// Every series of requests except durations, if it is not 0.
fn counted(vm: &Vm) -> BTreeMap<String, u64> {
    let of_requests = |name: &String| !["config", "duration"].iter().any(|word| name.contains(word));
    let series = vm.metrics().into_iter().filter(of_requests).map(|name| (short(&name), vm.metric(&name).unwrap()));
    series.filter(|(_, value)| *value > 0).collect()
}

fn expected(series: &[&str]) -> BTreeMap<String, u64> {
    series.iter().map(|name| (format!("canary_{name}"), 1)).collect()
}

/// A request that ends with a status. 0 if the client got none.
fn ended(plugin: &Plugin<'_>, lines: Vec<(&str, &[u8])>, status: u64) {
    let mut stream = plugin.stream();
    stream.request_headers(lines, true);
    end(stream, status);
}

fn end(mut stream: Stream<'_>, status: u64) {
    if status > 0 {
        stream.set_property(&["response", "code"], status.to_le_bytes());
    }
}

fn percent(fault: Value) -> Value {
    let mut fault = fault;
    fault["percentage"] = json!({"value": 100});
    fault
}

#[test]
fn each_request_is_counted_once_when_it_ends() {
    let split = json!([{"destination": {"host": "reviews", "subset": "v1"}, "weight": 0},
                       {"destination": {"host": "reviews", "subset": "v2"}, "weight": 100}]);
    let policy = |more: Value| {
        let mut policy = json!({"hosts": ["reviews"], "defaultSubset": "v1"});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"policies": [policy]})
    };
    let named = policy(json!({"versionHeader": {"name": "want"}}));
    let faulty = policy(json!({"faults": [{"subset": "v2", "fault": {"abort": percent(json!({"httpStatus": 555}))}}]}));
    let native = json!({"faults": {"delay": "faultFilter"}});
    let delay = || percent(json!({"fixedDelay": "1s"}));
    let abort = || percent(json!({"httpStatus": 500}));
    let cors = json!({"corsPolicy": {"allowOrigins": [{"exact": "http://a.io"}], "allowMethods": ["PUT"]}});
    let plain = || get("reviews", "/", &[]);
    for (row, rule, more, lines, status, series) in [
        (
            "one destination",
            json!({}),
            json!({}),
            plain(),
            200,
            &["requests_total reviews v1 rule", "responses_total reviews v1 2xx"][..],
        ),
        (
            "split",
            json!({"route": split}),
            json!({}),
            plain(),
            404,
            &["requests_total reviews v2 weight", "responses_total reviews v2 4xx"],
        ),
        (
            "no subset",
            json!({"route": [{"destination": {"host": "reviews"}}]}),
            json!({}),
            plain(),
            101,
            &["requests_total reviews - rule", "responses_total reviews - 1xx"],
        ),
        (
            "client gone",
            json!({}),
            json!({}),
            plain(),
            0,
            &["requests_total reviews v1 rule", "responses_total reviews v1 none"],
        ),
        (
            "asked for",
            json!({}),
            named.clone(),
            get("reviews", "/", &[("want", b"v3")]),
            302,
            &["requests_total reviews v3 version-header", "responses_total reviews v3 3xx"],
        ),
        (
            "unknown",
            json!({}),
            named,
            get("reviews", "/", &[("want", b"a;.;b")]),
            503,
            &[
                "requests_total reviews v1 version-header",
                "responses_total reviews v1 5xx",
                "fallbacks_total reviews unknown v1 unknown-version",
            ],
        ),
        (
            "redirect",
            json!({"redirect": {"uri": "/"}}),
            json!({}),
            plain(),
            301,
            &["requests_total - - rule", "responses_total - - 3xx"],
        ),
        (
            "direct response",
            json!({"directResponse": {"status": 200}}),
            json!({}),
            plain(),
            200,
            &["requests_total - - rule", "responses_total - - 2xx"],
        ),
        (
            "no rule",
            json!({"match": [{"uri": {"exact": "/x"}}]}),
            json!({}),
            plain(),
            404,
            &["requests_total - - no-rule", "responses_total - - 4xx"],
        ),
        ("preflight", cors, json!({}), preflight(), 200, &["requests_total - - rule", "responses_total - - 2xx"]),
        ("unknown host", json!({}), json!({}), get("other", "/", &[]), 200, &[]),
        (
            "abort",
            json!({"fault": {"abort": abort()}}),
            json!({}),
            plain(),
            500,
            &["requests_total reviews v1 rule", "responses_total reviews v1 5xx", "faults_total reviews v1 abort"],
        ),
        (
            "abort of a version",
            json!({"route": split}),
            faulty,
            plain(),
            555,
            &["requests_total reviews v2 weight", "responses_total reviews v2 5xx", "faults_total reviews v2 abort"],
        ),
        (
            "delay",
            json!({"fault": {"delay": delay()}}),
            json!({}),
            plain(),
            200,
            &["requests_total reviews v1 rule", "responses_total reviews v1 2xx", "faults_total reviews v1 delay"],
        ),
        (
            "skipped delay",
            json!({"fault": {"delay": delay()}}),
            json!({"faults": {"maxActive": 0}}),
            plain(),
            200,
            &["requests_total reviews v1 rule", "responses_total reviews v1 2xx", "delays_skipped_total"],
        ),
        (
            "both, by Envoy",
            json!({"fault": {"delay": delay(), "abort": abort()}}),
            native,
            plain(),
            500,
            &[
                "requests_total reviews v1 rule",
                "responses_total reviews v1 5xx",
                "faults_total reviews v1 abort",
                "faults_total reviews v1 delay",
            ],
        ),
        (
            "mirrors",
            json!({"mirrors": [{"destination": {"host": "audit", "subset": "v1"}}, {"destination": {"host": "log", "port": {"number": 1}}}]}),
            json!({}),
            plain(),
            200,
            &[
                "requests_total reviews v1 rule",
                "responses_total reviews v1 2xx",
                "mirrors_total reviews outbound|80|v1|audit",
                "mirrors_total reviews outbound|1||log",
            ],
        ),
        (
            "switched off",
            json!({"fault": {"abort": abort()}}),
            json!({"metrics": {"enabled": false}}),
            plain(),
            500,
            &[],
        ),
        (
            "responses switched off",
            json!({}),
            json!({"metrics": {"responses": false}}),
            plain(),
            200,
            &["requests_total reviews v1 rule"],
        ),
    ] {
        let vm = started();
        let plugin = vm.plugin(document(rule, more)).unwrap();
        ended(&plugin, lines, status);
        assert_eq!(counted(&vm), expected(series), "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_duration_covers_the_whole_stream() {
    let duration = format!("host=.={HOST};.;version=.=v1;.;canary_request_duration_milliseconds");
    let vm = started();
    let plugin = vm.plugin(document(json!({}), json!({}))).unwrap();
    for (row, passed, expected) in [("rounded down", 1_999_999, 1), ("long", 70_000 * MS, 70_000), ("none", 0, 0)] {
        let mut stream = plugin.stream();
        stream.request_headers(get("reviews", "/", &[]), true);
        vm.advance(Duration::from_nanos(passed));
        end(stream, 200);
        assert_eq!(vm.metric(&duration), Some(expected), "{row}");
    }
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    vm.set_time(START - 1);
    end(stream, 200);
    assert_eq!(vm.metric(&duration), Some(0), "the host's clock was set back");
}

#[test]
fn host_calls_of_a_request_are_counted() {
    let silent = json!({"metrics": {"enabled": false}, "filterState": {"enabled": false}});
    let named = json!({"name": "all"});
    for (row, rule, more, expected) in [
        ("no reports", named.clone(), silent, [1, 2, 0, 0, 0, 0, 0, 0, 0]),
        (
            "requests counted",
            named.clone(),
            json!({"metrics": {"responses": false}, "filterState": {"enabled": false}}),
            [1, 2, 0, 0, 0, 0, 0, 1, 0],
        ),
        ("all counted", named.clone(), json!({"filterState": {"enabled": false}}), [1, 2, 0, 0, 1, 2, 0, 2, 1]),
        ("all reports", named.clone(), json!({}), [1, 2, 0, 1, 1, 2, 0, 2, 1]),
        ("a rule without a name", json!({}), json!({}), [1, 2, 0, 1, 1, 2, 0, 2, 1]),
        ("one by one, too", named, json!({"filterState": {"separate": true}}), [1, 2, 0, 4, 1, 2, 0, 2, 1]),
    ] {
        let vm = started();
        let plugin = vm.plugin(document(rule, more)).unwrap();
        ended(&plugin, get("reviews", "/", &[]), 200);
        let calls = || CALLS.map(|import| vm.calls(import));
        let before = calls();
        ended(&plugin, get("reviews", "/", &[]), 200);
        let made: Vec<_> = calls().iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(made, expected, "{row}: {CALLS:?}");
        let before = calls();
        ended(&plugin, get("other", "/", &[]), 200);
        assert_eq!(calls().iter().sum::<usize>() - before.iter().sum::<usize>(), 1, "{row}: an unknown host");
    }
}

#[test]
fn series_are_bounded() {
    const HOSTS: usize = 2_000;
    let vm = started();
    let only = |number: usize| {
        let host = format!("h{number}.test");
        json!({"virtualServices": [{"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]}]})
            .to_string()
    };
    let plugin = vm.plugin(only(0)).unwrap();
    for number in 0..HOSTS {
        plugin.configure(only(number)).unwrap();
        let host = format!("h{number}.test");
        for _ in 0..2 {
            ended(&plugin, get(&host, "/", &[]), 200);
        }
    }
    let names = vm.metrics();
    assert!(names.len() <= 1_024 + 3, "{} series", names.len());
    let sum = |metric: &str| {
        names.iter().filter(|name| name.ends_with(metric)).filter_map(|name| vm.metric(name)).sum::<u64>()
    };
    assert_eq!([sum("canary_requests_total"), sum("canary_responses_total")], [2 * HOSTS as u64; 2], "none is lost");
    let shared = |rest: &str| vm.metric(&format!("host=.=overflow;.;version=.=overflow;.;{rest}"));
    assert!(shared("reason=.=rule;.;canary_requests_total").unwrap() > HOSTS as u64);
    assert!(shared("class=.=2xx;.;canary_responses_total").unwrap() > HOSTS as u64);
    assert_eq!(vm.metric("host=.=h0.test;.;version=.=-;.;reason=.=rule;.;canary_requests_total"), Some(2));
    assert_eq!(vm.calls("proxy_define_metric"), names.len(), "each is defined once");
}

#[test]
fn access_logs_show_the_route_the_version_and_the_reason() {
    let named = |name: &str| json!({"name": name, "match": [{"name": "m"}]});
    let abort = json!({"name": "a", "fault": {"abort": percent(json!({"httpStatus": 500}))}});
    for (row, rule, more, host, shown) in [
        ("named", named("all"), json!({}), "reviews", [Some("all.m"), Some("v1"), Some("rule")]),
        ("no name", json!({}), json!({}), "reviews", [None, Some("v1"), Some("rule")]),
        (
            "no subset",
            json!({"route": [{"destination": {"host": "reviews"}}]}),
            json!({}),
            "reviews",
            [None, None, Some("rule")],
        ),
        ("abort", abort, json!({}), "reviews", [Some("a"), Some("v1"), Some("rule")]),
        ("redirect", json!({"name": "r", "redirect": {"uri": "/"}}), json!({}), "reviews", [Some("r"), None, None]),
        ("unknown host", named("all"), json!({}), "other", [None; 3]),
        ("switched off", named("all"), json!({"filterState": {"enabled": false}}), "reviews", [None; 3]),
    ] {
        let [route, version, reason] = shown;
        let parts = [("version", version), ("reason", reason), ("route", route)];
        let text: Vec<_> = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect();
        let text = (!text.is_empty()).then(|| text.join(" ").into_bytes());
        for separate in [false, true] {
            let mut more = more.clone();
            if more.as_object().unwrap().is_empty() {
                more = json!({"filterState": {"separate": separate}});
            }
            let vm = started();
            let plugin = vm.plugin(document(rule.clone(), more)).unwrap();
            let mut stream = plugin.stream();
            stream.request_headers(get(host, "/", &[]), true);
            assert_eq!(stream.property(&["canary"]), text, "{row}");
            let properties = ["canary_route", "canary_version", "canary_reason"].map(|name| stream.property(&[name]));
            let expected = shown.map(|text| text.filter(|_| separate).map(|text| text.as_bytes().to_vec()));
            assert_eq!(properties, expected, "{row}, one by one: {separate}");
        }
    }
}

#[test]
fn configurations_are_counted_and_have_a_fingerprint() {
    let vm = started();
    vm.set_property(&["plugin_name"], "canary");
    let version = || vm.metric("plugin=.=canary;.;canary_config_version");
    let reloads =
        |result: &str| vm.metric(&format!("plugin=.=canary;.;result=.={result};.;canary_config_reloads_total"));
    let plugin = vm.plugin("{}").unwrap();
    let first = version().unwrap();
    assert_eq!((reloads("accepted"), reloads("refused")), (Some(1), None));
    assert!(plugin.configure("{").is_err());
    assert_eq!((version(), reloads("accepted"), reloads("refused")), (Some(first), Some(1), Some(1)));
    plugin.configure("{} ").unwrap();
    assert_ne!(version(), Some(first));
    assert!(version().unwrap() < 1 << 52);
    plugin.configure("{}").unwrap();
    assert_eq!((version(), reloads("accepted")), (Some(first), Some(3)), "the same document, the same number");
    for zero in ["canary_delays_skipped_total", "canary_decision_errors_total"] {
        assert_eq!(vm.metric(zero), Some(0), "{zero} is shown from the start");
    }
}

#[test]
fn failing_metrics_fail_no_request() {
    for call in [
        "proxy_define_metric",
        "proxy_increment_metric",
        "proxy_record_metric",
        "proxy_get_current_time_nanoseconds",
        "proxy_get_property",
        "proxy_set_property",
    ] {
        let vm = started();
        let plugin = vm.plugin(document(json!({}), json!({}))).unwrap();
        vm.fail(call, 10);
        let mut stream = plugin.stream();
        stream.request_headers(get("reviews", "/", &[]), true);
        assert_eq!(stream.request_values("x-canary-version"), [b"v1"], "{call}");
        end(stream, 200);
        let logged = vm.logged(LogLevel::Error);
        assert!(!logged.is_empty() && logged.iter().all(|line| line.starts_with(call)), "{call}: {logged:?}");
        vm.heal();
        ended(&plugin, get("reviews", "/", &[]), 200);
        let requests = format!("host=.={HOST};.;version=.=v1;.;reason=.=rule;.;canary_requests_total");
        assert!(vm.metric(&requests).unwrap() >= 1, "{call}: the next one counts");
    }
    let vm = started();
    let plugin = vm.plugin(document(json!({}), json!({}))).unwrap();
    vm.fail("proxy_get_header_map_pairs", 10);
    ended(&plugin, get("reviews", "/", &[]), 200);
    assert_eq!(counted(&vm), expected(&["decision_errors_total"]), "left to the native routes");
}
