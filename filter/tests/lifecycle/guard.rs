//! The filter and its guard in one VM: what one learns the other knows, and a request that is moved keeps nothing of the
//! version that it was on its way to.

use std::time::Duration;

use crate::fixture::{document, get, response_lines, reviews, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

pub(crate) const NO_CLUSTER: u64 = 1 << 24;
const NO_HEALTHY_UPSTREAM: u64 = 2;
const CONNECTION_FAILURE: u64 = 32;
const SHARED: &str = "canary_clusters";
const START: u64 = 1_795_000_000_123_456_789;
/// A little more than from tick to tick.
const TICK: Duration = Duration::from_millis(101);
/// As long as a cluster is passed over, and a tick.
const PASSED_OVER: Duration = Duration::from_millis(5_101);

/// All to v3; where that cannot serve to v2, then v1.
pub(crate) fn config(more: Value) -> String {
    let rule = json!({
        "route": [{"destination": {"host": "reviews", "subset": "v3"},
                   "headers": {"request": {"set": {"x-of-v3": "1"}, "add": {"x-both": "3"}, "remove": ["x-gone"]},
                               "response": {"set": {"x-answer": "v3"}}}, "weight": 100},
                  {"destination": {"host": "reviews", "subset": "v1"},
                   "headers": {"request": {"set": {"x-of-v1": "1"}}, "response": {"set": {"x-answer": "v1"}}}, "weight": 0}],
        "rewrite": {"uri": "/new"}});
    let mut fields =
        json!({"policies": [{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"], "defaultSubset": "v1"}]});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(rule, fields)
}

fn guard_document(endpoints: &str) -> String {
    json!({"role": "guard", "guard": {"endpoints": endpoints}}).to_string()
}

/// Where a request is sent to by its headers.
pub(crate) fn cluster(stream: &Stream<'_>) -> String {
    String::from_utf8(stream.request_lines("x-canary-cluster").concat()).unwrap()
}

pub(crate) fn decided<'vm>(plugin: &Plugin<'vm>) -> Stream<'vm> {
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/old", &[("x-gone", b"0"), ("x-both", b"0")]), true);
    stream
}

/// Passes a request on to the guard, which sees this resolved cluster and number of endpoints.
pub(crate) fn guarded<'vm>(
    guard: &Plugin<'vm>,
    first: &Stream<'_>,
    resolved: Option<&str>,
    endpoints: u64,
) -> (Stream<'vm>, Action) {
    let mut stream = guard.stream_after(first);
    if let Some(resolved) = resolved {
        stream.set_property(&["xds", "cluster_name"], resolved);
        stream.set_property(&["upstream", "num_endpoints"], endpoints.to_le_bytes());
    }
    let action = stream.request_headers(first.request(), true);
    (stream, action)
}

pub(crate) fn end(mut stream: Stream<'_>, flags: u64, resolved: Option<&str>) {
    stream.set_property(&["response", "flags"], flags.to_le_bytes());
    if let Some(resolved) = resolved {
        stream.set_property(&["xds", "cluster_name"], resolved);
        if flags == 0 {
            stream.set_property(&["upstream", "address"], "127.0.0.1:1");
        }
    }
}

/// A request that its version has served.
fn succeed(plugin: &Plugin<'_>, subset: &str) {
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    assert_eq!(cluster(&stream), reviews(subset));
    end(stream, 0, Some(&reviews(subset)));
}

pub(crate) fn started() -> Vm {
    let vm = start();
    vm.set_time(START);
    vm
}

#[test]
fn moves_a_request_from_a_cluster_that_is_not_there() {
    let vm = started();
    let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
    let mut first = decided(&filter);
    assert_eq!(cluster(&first), reviews("v3"));
    let (second, action) = guarded(&guard, &first, None, 0);
    assert_eq!((action, cluster(&second)), (Action::Continue, reviews("v1")), "nothing has proven v2");
    for (name, lines) in [
        ("x-canary-version", vec!["v1"]),
        ("x-of-v3", vec![]),
        ("x-of-v1", vec!["1"]),
        ("x-both", vec!["0"]),
        ("x-gone", vec!["0"]),
        (":path", vec!["/newold"]),
        ("x-envoy-original-path", vec!["/old"]),
    ] {
        assert_eq!(second.request_lines(name), lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(), "{name}");
    }
    first.response_headers([(":status", "200")], true);
    assert_eq!(response_lines(&first, "x-answer"), ["v1"]);
    let counter = "host=.=reviews.default.svc.cluster.local;.;from=.=v3;.;to=.=v1;.;reason=.=missing-cluster;.;canary_fallbacks_total";
    assert_eq!(vm.metric(counter), Some(1));
    assert_eq!(cluster(&decided(&filter)), reviews("v3"), "nothing bears it out yet");
    end(first, 0, Some(&reviews("v1")));
    let next = decided(&filter);
    assert_eq!(cluster(&next), reviews("v2"), "the first filter knows, and tries the order");
    let told = vm.logged(LogLevel::Info).into_iter().filter(|line| line.starts_with("fallback")).collect::<Vec<_>>();
    assert!(told[0].contains(r#"from "v3" to "v1": missing-cluster"#), "{told:?}");
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn takes_the_first_of_the_order_that_has_served() {
    let vm = started();
    let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
    end(decided(&filter), NO_CLUSTER, None);
    succeed(&filter, "v2");
    vm.advance(PASSED_OVER);
    let first = decided(&filter);
    assert_eq!(cluster(&first), reviews("v3"), "passed over long enough");
    let (second, _) = guarded(&guard, &first, None, 0);
    assert_eq!(cluster(&second), reviews("v2"));
    drop((first, second));
    vm.advance(Duration::from_secs(11));
    let first = decided(&filter);
    let (second, _) = guarded(&guard, &first, None, 0);
    assert_eq!(cluster(&second), reviews("v1"), "an old success proves nothing");
}

/// A request for a version by its name, and its end.
fn ask(filter: &Plugin<'_>, version: &str, flags: u64) {
    let mut stream = filter.stream();
    stream.request_headers(get("reviews", "/", &[("want", version.as_bytes())]), true);
    let resolved = cluster(&stream);
    end(stream, flags, (flags != NO_CLUSTER).then_some(resolved.as_str()));
}

fn asked(more: &Value) -> String {
    let policy = json!([{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"], "versionHeader": {"name": "want"}}]);
    let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v3"}}]});
    let mut fields = json!({"policies": policy});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(rule, fields)
}

#[test]
fn takes_the_best_of_what_is_known() {
    let (unknown, proven, missing, empty) = (None, Some(0), Some(NO_CLUSTER), Some(NO_HEALTHY_UPSTREAM));
    for (row, v2, v1, expected) in [
        ("nothing is known: the default", unknown, unknown, "v1"),
        ("a proven one before the default", proven, unknown, "v2"),
        ("the default before one that is missing", missing, unknown, "v1"),
        ("a proven default before an unknown one", unknown, proven, "v1"),
        ("both are proven: by the order", proven, proven, "v2"),
        ("a proven default before an empty one", empty, proven, "v1"),
        ("an unknown one before a default that is missing", unknown, missing, "v2"),
        ("an unknown one before a default that is empty", unknown, empty, "v2"),
        ("a proven one before a default that is missing", proven, missing, "v2"),
        ("nothing is left: the default", missing, missing, "v1"),
    ] {
        let vm = started();
        let filter = vm.plugin(asked(&json!({}))).unwrap();
        let guard = vm.plugin(r#"{"role":"guard"}"#).unwrap();
        for (version, end) in [("v2", v2), ("v1", v1)] {
            end.into_iter().for_each(|flags| ask(&filter, version, flags));
        }
        let mut first = filter.stream();
        first.request_headers(get("reviews", "/", &[]), true);
        assert_eq!(cluster(&first), reviews("v3"), "{row}");
        let (second, _) = guarded(&guard, &first, None, 0);
        assert_eq!(cluster(&second), reviews(expected), "{row}");
    }
}

#[test]
fn a_second_guard_looks_at_where_the_first_has_moved_a_request_to() {
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    let guards = [(); 3].map(|()| vm.plugin(r#"{"role":"guard"}"#).unwrap());
    let mut first = decided(&filter);
    let (second, _) = guarded(&guards[0], &first, None, 0);
    assert_eq!(cluster(&second), reviews("v1"));
    let (third, _) = guarded(&guards[1], &second, None, 0);
    assert_eq!(cluster(&third), reviews("v2"), "the default is missing, too");
    for (name, lines) in [
        ("x-canary-version", vec!["v2"]),
        ("x-of-v3", vec![]),
        ("x-of-v1", vec![]),
        ("x-both", vec!["0"]),
        ("x-gone", vec!["0"]),
        (":path", vec!["/newold"]),
    ] {
        assert_eq!(third.request_lines(name), lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(), "{name}");
    }
    let (last, _) = guarded(&guards[2], &third, None, 0);
    assert_eq!(cluster(&last), reviews("v2"), "nothing is left");
    first.response_headers([(":status", "200")], true);
    assert_eq!(response_lines(&first, "x-answer"), [""; 0], "v2 changes no response");
    let (late, _) = guarded(&guards[2], &second, None, 0);
    assert_eq!(cluster(&late), reviews("v1"), "what was handed over is let go with the response");
    drop(late);
    end(first, 0, Some(&reviews("v2")));
    let next = decided(&filter);
    let (second, _) = guarded(&guards[0], &next, Some(&reviews("v2")), 0);
    assert_eq!((cluster(&next), cluster(&second)), (reviews("v2"), reviews("v2")), "it is known of both");
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn a_second_guard_leaves_alone_what_the_first_has_passed_on() {
    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    let guards = [(); 2].map(|()| vm.plugin(r#"{"role":"guard"}"#).unwrap());
    let first = decided(&filter);
    let (second, _) = guarded(&guards[0], &first, None, 0);
    let (third, action) = guarded(&guards[1], &second, Some(&reviews("v1")), 1);
    assert_eq!((action, third.request()), (Action::Continue, second.request()), "v1 can serve");
    let first = decided(&filter);
    let (second, _) = guarded(&guards[0], &first, Some(&reviews("v3")), 1);
    let before = vm.calls("proxy_get_property");
    let (third, _) = guarded(&guards[1], &second, Some(&reviews("v3")), 1);
    assert_eq!(third.request(), first.request());
    assert_eq!(vm.calls("proxy_get_property"), before + 1, "no second look");
}

#[test]
fn a_missing_cluster_is_learned_where_the_end_of_the_request_bears_it_out() {
    let (v1, v7) = (reviews("v1"), reviews("v7"));
    for (row, flags, resolved, learned) in [
        ("the request was served where it was moved to", 0, Some(&v1), true),
        ("there is no endpoint where it was moved to", NO_HEALTHY_UPSTREAM, Some(&v1), true),
        ("there is no cluster where it was moved to either", NO_CLUSTER, None, true),
        ("a native route has answered by itself", 0, None, false),
        ("a native route has sent it elsewhere", 0, Some(&v7), false),
    ] {
        let vm = started();
        let filter = vm.plugin(asked(&json!({"mode": "version"}))).unwrap();
        let guard = vm.plugin(r#"{"role":"guard"}"#).unwrap();
        let passed_over = || {
            let mut stream = filter.stream();
            stream.request_headers(get("reviews", "/", &[]), true);
            stream.request_lines("x-canary-version") != [b"v3"]
        };
        let mut first = filter.stream();
        first.request_headers(get("reviews", "/", &[]), true);
        let (second, _) = guarded(&guard, &first, None, 0);
        assert_eq!(second.request_lines("x-canary-version"), [b"v1"], "{row}");
        end(first, flags, resolved.map(String::as_str));
        assert_eq!(passed_over(), learned, "{row}");
        vm.advance(TICK);
        assert_eq!(vm.shared_data(SHARED).is_some(), learned, "{row}: shared");
    }
}

#[test]
fn believes_a_number_of_endpoints_as_it_is_told_to() {
    // Name, the guard's word, the filter's word, whether the cluster was seen with endpoints, whether it gives way.
    for (row, guards, filters, seen, gives_way) in [
        ("learned, never seen with endpoints", Some("learned"), None, false, false),
        ("learned, seen with endpoints", Some("learned"), None, true, true),
        ("trusted", Some("trusted"), None, false, true),
        ("ignored", Some("ignored"), None, true, false),
        ("learned where nobody says", None, None, false, false),
        ("the filter's word where the guard has none", None, Some("trusted"), false, true),
        ("the guard's word before the filter's", Some("ignored"), Some("trusted"), true, false),
    ] {
        let vm = started();
        let document = filters.map_or(json!({}), |endpoints| json!({"guard": {"endpoints": endpoints}}));
        let filter = vm.plugin(config(document)).unwrap();
        let guard = vm.plugin(guards.map_or(r#"{"role":"guard"}"#.to_owned(), guard_document)).unwrap();
        if seen {
            let first = decided(&filter);
            let (second, _) = guarded(&guard, &first, Some(&reviews("v3")), 2);
            assert_eq!(cluster(&second), reviews("v3"), "{row}");
        }
        let first = decided(&filter);
        let (second, _) = guarded(&guard, &first, Some(&reviews("v3")), 0);
        assert_eq!(cluster(&second), reviews(if gives_way { "v1" } else { "v3" }), "{row}");
        let next = decided(&filter);
        assert_eq!(cluster(&next), reviews(if gives_way { "v2" } else { "v3" }), "{row}: known from then on");
    }
}

#[test]
fn leaves_alone_what_it_cannot_judge() {
    let elsewhere = [9_u8; 12];
    for (row, resolved, token, warns) in [
        ("it can serve", Some("v3"), None, false),
        ("a route that leads elsewhere", Some("v7"), None, true),
        ("another VM's token", None, Some(&elsewhere[..]), true),
        ("a malformed token", None, Some(&b"x"[..]), true),
    ] {
        let vm = started();
        let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
        for _ in 0..3 {
            let mut first = decided(&filter);
            if let Some(token) = token {
                first.set_property(&["canary_stream"], token);
            }
            let resolved = resolved.map(reviews);
            let (second, action) = guarded(&guard, &first, resolved.as_deref(), 1);
            assert_eq!((action, second.request()), (Action::Continue, first.request()), "{row}");
            assert_eq!(second.route_cache_clears(), 0, "{row}");
        }
        assert_eq!(vm.logged(LogLevel::Warn).len(), usize::from(warns), "{row}: {:?}", vm.log());
    }
}

#[test]
fn warns_once_of_a_guard_whose_vm_has_no_filter() {
    let vm = started();
    let guard = vm.plugin(r#"{"role":"guard"}"#).unwrap();
    for _ in 0..3 {
        let action = guard.stream().request_headers(get("reviews", "/", &[]), true);
        assert_eq!(action, Action::Continue);
    }
    assert_eq!(vm.logged(LogLevel::Warn).len(), 1, "{:?}", vm.log());
}

#[test]
fn nothing_is_handed_over_where_no_version_can_stand_in() {
    let vm = started();
    let filter =
        vm.plugin(document(json!({}), json!({"policies": [{"hosts": ["reviews"], "defaultSubset": "v1"}]}))).unwrap();
    let guard = vm.plugin(r#"{"role":"guard"}"#).unwrap();
    let first = decided(&filter);
    assert_eq!(first.property(&["canary_stream"]), None);
    let (second, _) = guarded(&guard, &first, None, 0);
    assert_eq!(second.request(), first.request());
    assert!(vm.logged(LogLevel::Warn).is_empty());
}

#[test]
fn a_default_that_is_missing_gives_way_once() {
    let vm = started();
    let policy = json!({"policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]});
    let (filter, guard) = (vm.plugin(document(json!({}), policy)).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
    let first = decided(&filter);
    let (second, _) = guarded(&guard, &first, None, 0);
    assert_eq!(cluster(&second), reviews("v2"));
    end(first, NO_CLUSTER, None);
    let last = decided(&filter);
    let (second, _) = guarded(&guard, &last, None, 0);
    assert!([reviews("v1"), reviews("v2")].contains(&cluster(&second)), "both are missing: one of them it is");
}

#[test]
fn the_end_of_a_request_teaches_without_a_guard() {
    let (v3, v7) = (reviews("v3"), reviews("v7"));
    for (row, flags, resolved, passed_over) in [
        ("no such cluster", NO_CLUSTER, None, true),
        ("no endpoint", NO_HEALTHY_UPSTREAM, Some(&v3), true),
        ("no endpoint of another cluster", NO_HEALTHY_UPSTREAM, Some(&v7), false),
        ("connection refused", CONNECTION_FAILURE, Some(&v3), false),
        ("served", 0, Some(&v3), false),
    ] {
        let vm = started();
        let filter = vm.plugin(config(json!({}))).unwrap();
        end(decided(&filter), flags, resolved.map(String::as_str));
        let expected = if passed_over { "v2" } else { "v3" };
        assert_eq!(cluster(&decided(&filter)), reviews(expected), "{row}");
        vm.advance(TICK);
        assert_eq!(cluster(&decided(&filter)), reviews(expected), "{row}: a tick later");
        assert_eq!(vm.shared_data(SHARED).is_some(), passed_over, "{row}: shared");
        vm.advance(PASSED_OVER);
        assert_eq!(cluster(&decided(&filter)), reviews("v3"), "{row}: tried again");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn workers_tell_each_other() {
    // What another worker shares is what this one shares when it has learned the same.
    let teacher = started();
    let filter = teacher.plugin(config(json!({}))).unwrap();
    teacher.advance(TICK / 2);
    end(decided(&filter), NO_CLUSTER, None);
    teacher.advance(TICK);
    let of_v3 = teacher.shared_data(SHARED).unwrap();
    drop(filter);
    drop(teacher);

    let vm = started();
    let filter = vm.plugin(config(json!({}))).unwrap();
    let late = decided(&filter);
    vm.set_shared_data(SHARED, of_v3.clone());
    assert_eq!(cluster(&decided(&filter)), reviews("v3"));
    vm.advance(TICK);
    assert_eq!(cluster(&decided(&filter)), reviews("v2"), "heard");
    end(decided(&filter), NO_CLUSTER, None);
    vm.set_shared_data_between(of_v3.clone());
    vm.advance(TICK);
    assert_eq!(cluster(&decided(&filter)), reviews("v1"), "another one is faster: neither is lost");
    assert!(vm.shared_data(SHARED).unwrap().len() > of_v3.len());
    let of_both = vm.shared_data(SHARED).unwrap();
    end(late, 0, Some(&reviews("v3")));
    vm.advance(TICK);
    assert_eq!(vm.shared_data(SHARED).unwrap(), of_both, "a request that began before says nothing");
    end(decided(&filter), NO_CLUSTER, None);
    vm.advance(TICK);
    assert!(vm.shared_data(SHARED).unwrap().len() > of_both.len());
    end(decided(&filter), 0, Some(&reviews("v1")));
    vm.advance(TICK);
    assert_eq!(vm.shared_data(SHARED).unwrap(), of_both, "a success of the last resort clears, for all");
    vm.set_shared_data(SHARED, b"\xff\xff\xff\xff");
    vm.advance(TICK);
    assert_eq!(cluster(&decided(&filter)), reviews("v3"), "malformed data counts as none");
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn knowing_costs_a_request_no_host_call() {
    let calls = |vm: &Vm| {
        ["proxy_get_shared_data", "proxy_set_shared_data", "proxy_get_current_time_nanoseconds", "proxy_get_property"]
            .map(|import| vm.calls(import))
    };
    let vm = started();
    let silent = json!({"metrics": {"enabled": false}, "filterState": {"enabled": false}});
    let filter = vm.plugin(config(silent)).unwrap();
    let before = calls(&vm);
    let _stream = decided(&filter);
    assert_eq!(calls(&vm), before);
    assert_eq!(vm.calls("proxy_set_property"), 0, "nothing is written for a guard that is not there");
    assert_eq!(vm.ticking(), 1);
    let _guard = vm.plugin(r#"{"role":"guard"}"#).unwrap();
    let before = calls(&vm);
    let _stream = decided(&filter);
    assert_eq!((calls(&vm), vm.calls("proxy_set_property")), (before, 1));
    filter.configure(document(json!({}), json!({}))).unwrap();
    assert_eq!(vm.ticking(), 0, "no tick without policies");
}

#[test]
fn a_host_that_fails_fails_no_request() {
    for (call, moved, next) in [
        ("proxy_set_property", "v3", "v2"),
        ("proxy_get_property", "v3", "v3"),
        ("proxy_get_header_map_pairs", "v3", "v2"),
        ("proxy_get_current_time_nanoseconds", "v1", "v3"),
        ("proxy_define_metric", "v1", "v2"),
        ("proxy_get_shared_data", "v1", "v2"),
        ("proxy_set_shared_data", "v1", "v2"),
    ] {
        for status in [10, 4711] {
            let row = format!("{call} answers {status}");
            let vm = started();
            let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
            if call == "proxy_set_property" {
                vm.fail(call, status);
            }
            let first = decided(&filter);
            vm.fail(call, status);
            let (second, action) = guarded(&guard, &first, None, 0);
            assert_eq!((action, cluster(&second)), (Action::Continue, reviews(moved)), "{row}");
            drop(second);
            let flags = if moved == "v3" { NO_CLUSTER } else { 0 };
            end(first, flags, (flags == 0).then_some(reviews(moved)).as_deref());
            if call.ends_with("shared_data") {
                vm.advance(TICK);
            }
            let logged = vm.logged(LogLevel::Error);
            assert!(!logged.is_empty() && logged.iter().all(|line| line.starts_with(call)), "{row}: {logged:?}");
            vm.heal();
            assert_eq!(cluster(&decided(&filter)), reviews(next), "{row}: the next one");
            vm.advance(PASSED_OVER);
            assert_eq!(cluster(&decided(&filter)), reviews("v3"), "{row}: forgotten in time");
        }
    }
}

#[test]
fn where_no_tick_would_forget_it_nothing_is_learned() {
    let vm = started();
    vm.fail("proxy_set_tick_period_milliseconds", 10);
    let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
    let first = decided(&filter);
    let (second, _) = guarded(&guard, &first, None, 0);
    assert_eq!(cluster(&second), reviews("v1"), "the guard does its work");
    end(first, NO_CLUSTER, None);
    assert_eq!(cluster(&decided(&filter)), reviews("v3"));
}

#[test]
fn names_of_counters_are_bounded() {
    let vm = started();
    let policy =
        json!({"policies": [{"hosts": ["reviews"], "defaultSubset": "v1", "versionHeader": {"name": "want"}}]});
    let filter = vm.plugin(document(json!({}), policy)).unwrap();
    for number in 0..1_000 {
        let wanted = format!("made-up-{number}\n");
        filter.stream().request_headers(get("reviews", "/", &[("want", wanted.as_bytes())]), true);
    }
    let counter = "host=.=reviews.default.svc.cluster.local;.;from=.=unknown;.;to=.=v1;.;reason=.=unknown-version;.;canary_fallbacks_total";
    assert_eq!(vm.metric(counter), Some(1_000));
    let told = vm.logged(LogLevel::Info).into_iter().filter(|line| line.starts_with("fallback")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "once a second");
    assert!(told[0].contains(r#"from "made-up-0\n""#), "{told:?}");
}

#[test]
fn what_was_handed_over_is_let_go_once_nobody_needs_it() {
    for (row, has_passed) in [("a guard has passed it on", true), ("its response has come", false)] {
        let vm = started();
        let (filter, guard) = (vm.plugin(config(json!({}))).unwrap(), vm.plugin(r#"{"role":"guard"}"#).unwrap());
        let mut first = decided(&filter);
        if has_passed {
            drop(guarded(&guard, &first, Some(&reviews("v3")), 1));
        } else {
            first.response_headers([(":status", "200")], false);
        }
        let (late, _) = guarded(&guard, &first, None, 0);
        assert_eq!(cluster(&late), reviews("v3"), "{row}: a guard could not decide again");
        drop(late);
        end(first, NO_CLUSTER, None);
        assert_eq!(cluster(&decided(&filter)), reviews("v2"), "{row}: the end still knows the cluster");
        assert!(vm.logged(LogLevel::Warn).is_empty(), "{row}: {:?}", vm.log());
    }
}
