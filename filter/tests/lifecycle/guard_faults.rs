//! Faults where a guard stands behind the filter: those of the version that serves, each once, nothing of another's.

use std::time::Duration;

use crate::fixture::{document, get, response_lines, reviews};
use crate::guard::{NO_CLUSTER, cluster, config, end, guarded, started};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

const GUARD: &str = r#"{"role":"guard"}"#;
/// From tick to tick while delays are pending.
const TICK: Duration = Duration::from_millis(10);

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    /// Milliseconds of pause in the filter, then in the guard.
    paused: (u64, u64),
    /// The status of the answer by the filter or the guard.
    answer: Option<u32>,
    /// The version that it was sent to last.
    version: &'static str,
}

fn delay(milliseconds: u64) -> Value {
    json!({"delay": {"fixedDelay": format!("{milliseconds}ms"), "percentage": {"value": 100}}})
}

fn abort(status: u16) -> Value {
    json!({"abort": {"httpStatus": status, "percentage": {"value": 100}}})
}

fn both(milliseconds: u64, status: u16) -> Value {
    json!({"delay": delay(milliseconds)["delay"], "abort": abort(status)["abort"]})
}

/// All to v3, else v1; with the rule's fault, and faults of versions.
fn with_faults(of_rule: &Value, of_versions: &[(&str, Value)], settings: &Value) -> String {
    let faults: Vec<_> = of_versions.iter().map(|(subset, fault)| json!({"subset": subset, "fault": fault})).collect();
    let mut rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v3"}}]});
    if !of_rule.is_null() {
        rule["fault"] = of_rule.clone();
    }
    let policy = json!({"hosts": ["reviews"], "fallback": ["v3", "v1"], "faults": faults});
    document(rule, json!({"policies": [policy], "faults": settings}))
}

fn request<'vm>(plugin: &Plugin<'vm>) -> (Stream<'vm>, Action) {
    let mut stream = plugin.stream();
    let action = stream.request_headers(get("reviews", "/", &[]), true);
    (stream, action)
}

/// Waits until a paused stream goes on: for how many milliseconds, cut to the tick.
fn wait(vm: &Vm, stream: &Stream<'_>, action: Action) -> u64 {
    let goes_on = || action == Action::Continue || stream.resumed_at().is_some() || stream.local_response().is_some();
    for waited in (0..1_000).step_by(10) {
        if goes_on() {
            return waited;
        }
        vm.advance(TICK);
    }
    panic!("it never goes on");
}

#[test]
fn happen_once_and_only_those_of_the_version_that_serves() {
    let none = Value::Null;
    let course = |paused, answer, version| Course { paused, answer, version };
    // Name, the rule's fault, faults of versions, whether v3 is there, what happens.
    for (row, of_rule, of_versions, has_v3, expected) in [
        ("abandoned: its abort", &none, vec![("v3", abort(418))], false, course((0, 0), None, "v1")),
        ("abandoned: its delay", &none, vec![("v3", delay(50))], false, course((0, 0), None, "v1")),
        ("it serves: its abort", &none, vec![("v3", abort(418))], true, course((0, 0), Some(418), "v3")),
        ("it serves: its delay", &none, vec![("v3", delay(50))], true, course((0, 50), None, "v3")),
        ("moved to: its abort", &none, vec![("v1", abort(418))], false, course((0, 0), Some(418), "v1")),
        ("moved to: its delay", &none, vec![("v1", delay(50))], false, course((0, 50), None, "v1")),
        ("moved to: both", &none, vec![("v1", both(50, 418))], false, course((0, 50), Some(418), "v1")),
        ("it serves: another's", &none, vec![("v1", both(50, 418))], true, course((0, 0), None, "v3")),
        (
            "each has its own",
            &none,
            vec![("v3", both(50, 418)), ("v1", both(80, 419))],
            false,
            course((0, 80), Some(419), "v1"),
        ),
        ("the rule's delay", &delay(50), vec![], false, course((50, 0), None, "v1")),
        ("the rule's abort", &abort(500), vec![], false, course((0, 0), Some(500), "")),
        (
            "the rule's delay, a version's abort",
            &delay(50),
            vec![("v1", abort(418))],
            false,
            course((50, 0), Some(418), "v1"),
        ),
        (
            "the rule's abort comes after a version's delay",
            &abort(500),
            vec![("v3", delay(50))],
            true,
            course((0, 50), Some(500), "v3"),
        ),
        (
            "the rule's delay, in whose place the abandoned one has its own",
            &delay(50),
            vec![("v3", delay(80))],
            false,
            course((0, 50), None, "v1"),
        ),
        (
            "the rule's abort, in whose place the one that serves has none",
            &abort(500),
            vec![("v1", json!({"abort": {"httpStatus": 418, "percentage": {"value": 0}}}))],
            false,
            course((0, 0), None, "v1"),
        ),
    ] {
        let vm = started();
        let filter = vm.plugin(with_faults(of_rule, &of_versions, &json!({}))).unwrap();
        let guard = vm.plugin(GUARD).unwrap();
        let (mut first, action) = request(&filter);
        let mut found = course((wait(&vm, &first, action), 0), first.local_response().map(|reply| reply.status), "");
        if found.answer.is_none() {
            let v3 = reviews("v3");
            let (second, action) = guarded(&guard, &first, has_v3.then_some(v3.as_str()), 1);
            found.version = if cluster(&second) == v3 { "v3" } else { "v1" };
            found.paused.1 = wait(&vm, &second, action);
            found.answer = second.local_response().map(|reply| reply.status);
            assert_eq!(second.resumed_at().is_some(), found.paused.1 > 0 && found.answer.is_none(), "{row}");
            first.response_headers([(":status", "200")], true);
        }
        assert_eq!(found, expected, "{row}");
        vm.advance(Duration::from_secs(1));
        assert_eq!(
            vm.resumed().len(),
            usize::from(found.paused.0 > 0) + usize::from(found.paused.1 > 0 && found.answer.is_none()),
            "{row}"
        );
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn of_versions_are_not_left_to_a_fault_filter_in_between() {
    let settings = json!({"delay": "faultFilter"});
    let fault_headers = |stream: &Stream<'_>| {
        let names = stream.request().into_iter().map(|(name, _)| String::from_utf8(name).unwrap());
        names.filter(|name| name.starts_with("x-envoy-fault-")).collect::<Vec<_>>()
    };
    for (row, of_rule, of_versions, headers, has_v3, pauses) in [
        ("the rule's delay", delay(50), vec![], vec!["x-envoy-fault-delay-request"], true, false),
        ("the rule's delay, moved", delay(50), vec![], vec!["x-envoy-fault-delay-request"], false, false),
        ("a version's delay", Value::Null, vec![("v3", delay(50))], vec![], true, true),
        ("the abandoned one's delay", Value::Null, vec![("v3", delay(50))], vec![], false, false),
        ("the delay of the one moved to", Value::Null, vec![("v1", delay(50))], vec![], false, true),
    ] {
        let vm = started();
        let filter = vm.plugin(with_faults(&of_rule, &of_versions, &settings)).unwrap();
        let guard = vm.plugin(GUARD).unwrap();
        let (first, action) = request(&filter);
        assert_eq!(
            (action, fault_headers(&first)),
            (Action::Continue, headers.iter().map(|name| (*name).to_owned()).collect()),
            "{row}"
        );
        let v3 = reviews("v3");
        let (second, action) = guarded(&guard, &first, has_v3.then_some(v3.as_str()), 1);
        assert_eq!(action, if pauses { Action::Pause } else { Action::Continue }, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
        drop(second);
    }
}

#[test]
fn are_the_filters_own_where_nobody_else_would_carry_them_out() {
    let of_v3 = [("v3", abort(418))];
    let vm = started();
    let filter = vm.plugin(with_faults(&Value::Null, &of_v3, &json!({}))).unwrap();
    let aborts = || request(&filter).0.local_response().map(|reply| reply.status);
    assert_eq!(aborts(), Some(418), "the VM has no guard");
    let guard = vm.plugin(GUARD).unwrap();
    assert_eq!(aborts(), None, "it has one: left to it");
    // An answer by a filter between the two says nothing of the guard.
    let (mut first, _) = request(&filter);
    first.response_headers([(":status", "403")], true);
    drop(first);
    assert_eq!(aborts(), None, "an answer from before the router");
    for (row, flags, address) in [("served", 0_u64, Some("127.0.0.1:1")), ("no cluster", NO_CLUSTER, None)] {
        guard.configure(GUARD).unwrap();
        assert_eq!(aborts(), None, "{row}: another guard has come, it may stand here");
        let (mut first, _) = request(&filter);
        first.set_property(&["response", "flags"], flags.to_le_bytes());
        if let Some(address) = address {
            first.set_property(&["upstream", "address"], address);
        }
        first.response_headers([(":status", "200")], true);
        assert_eq!(aborts(), Some(418), "{row}: and no guard has seen it");
        end(first, 0, Some(&reviews("v3")));
    }
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn are_left_to_a_guard_again_that_shows_itself() {
    let header = json!({"hosts": ["reviews"], "fallback": ["v3", "v1"], "versionHeader": {"name": "want"},
                        "faults": [{"subset": "v3", "fault": abort(418)}]});
    let vm = started();
    let filter = vm.plugin(document(json!({}), json!({"policies": [header]}))).unwrap();
    let guard = vm.plugin(GUARD).unwrap();
    let ask = |subset: &str| {
        let mut stream = filter.stream();
        stream.request_headers(get("reviews", "/", &[("want", subset.as_bytes())]), true);
        stream
    };
    let mut missed = ask("v3");
    missed.set_property(&["upstream", "address"], "127.0.0.1:1");
    missed.response_headers([(":status", "200")], true);
    assert!(ask("v3").local_response().is_some());
    let seen = ask("v2");
    guarded(&guard, &seen, Some(&reviews("v2")), 1);
    assert!(ask("v3").local_response().is_none());
}

#[test]
fn of_a_client_that_goes_during_the_guards_delay_leave_nothing_behind() {
    let vm = started();
    let filter = vm.plugin(with_faults(&Value::Null, &[("v3", delay(50))], &json!({"maxActive": 1}))).unwrap();
    let guard = vm.plugin(GUARD).unwrap();
    for _ in 0..100 {
        let (first, _) = request(&filter);
        let (second, action) = guarded(&guard, &first, Some(&reviews("v3")), 1);
        assert_eq!(action, Action::Pause);
        drop((first, second));
    }
    assert_eq!(vm.metric("canary_delays_skipped_total"), Some(0));
    vm.advance(Duration::from_secs(1));
    assert!(vm.resumed().is_empty());
}

/// The rest of what "nothing of the abandoned version" means, by one request each way: moved by the guard, and sent
/// elsewhere from the start by what has been learned.
#[test]
fn and_operations_mirrors_and_metrics_are_those_of_the_version_that_serves() {
    let mirrors = json!([{"destination": {"host": "audit", "subset": "v1"}}]);
    let documents = || {
        let mut document: Value = serde_json::from_str(&config(json!({}))).unwrap();
        document["virtualServices"][0]["spec"]["http"][0]["mirrors"] = mirrors.clone();
        document["policies"][0]["fallback"] = json!(["v3", "v1"]);
        document.to_string()
    };
    for (row, is_learned) in [("moved by the guard", false), ("learned", true)] {
        let vm = started();
        let (filter, guard) = (vm.plugin(documents()).unwrap(), vm.plugin(GUARD).unwrap());
        if is_learned {
            end(request(&filter).0, NO_CLUSTER, None);
        }
        let (mut first, _) = request(&filter);
        let resolved = is_learned.then(|| reviews("v1"));
        let (second, action) = guarded(&guard, &first, resolved.as_deref(), 1);
        assert_eq!((action, cluster(&second)), (Action::Continue, reviews("v1")), "{row}");
        let line = |name: &str| second.request_lines(name).concat();
        assert_eq!((line("x-of-v1"), line("x-of-v3")), (b"1".to_vec(), b"".to_vec()), "{row}: header operations");
        assert_eq!(line("x-canary-version"), b"v1", "{row}: the version");
        assert_eq!(line("x-canary-mirror"), b"outbound|80|v1|audit.default.svc.cluster.local", "{row}: the mirror");
        first.response_headers([(":status", "200")], true);
        assert_eq!(response_lines(&first, "x-answer"), ["v1"], "{row}: response operations");
        let counter = "host=.=reviews.default.svc.cluster.local;.;from=.=v3;.;to=.=v1;.;reason=.=missing-cluster;.;canary_fallbacks_total";
        assert_eq!(vm.metric(counter), Some(1), "{row}: metrics");
        end(first, 0, Some(&reviews("v1")));
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}
