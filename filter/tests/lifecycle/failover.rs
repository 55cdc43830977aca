//! Requests that Envoy has sent to another version than the picked one: the response's headers, the metrics and the health of
//! the versions.

use crate::accrual::{End, FAILED, OK, TICK, cluster, end_at, next, started};
use crate::fixture::{document, get, response_values, reviews, start};
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

const HOST: &str = "reviews.default.svc.cluster.local";
const METADATA: [&str; 3] = ["xds", "upstream_host_metadata", "filter_metadata"];

/// All requests go to v3, then to v2 and v1. Each version names itself in the response.
fn config(policy: Value, more: Value) -> String {
    let to = |subset: &str, weight: u32| {
        json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight,
               "headers": {"response": {"set": {"x-answer": subset}}}})
    };
    let mut of_policy = json!({"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"]});
    of_policy.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    let subset = |name: &str| json!({"name": name, "labels": {"version": name.replace('v', "r")}});
    let subsets = ["v1", "v2", "v3"].map(subset);
    let mut fields = json!({
        "clusters": {"failover": true},
        "destinationRules": [{"host": "reviews", "subsets": subsets}],
        "policies": [of_policy]});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(json!({"name": "all", "route": [to("v3", 100), to("v1", 0)]}), fields)
}

fn failover(subset: &str) -> String {
    format!("failover|{}", reviews(subset))
}

fn asked<'vm>(plugin: &Plugin<'vm>, headers: &[(&str, &[u8])]) -> Stream<'vm> {
    let mut stream = plugin.stream();
    stream.set_property(&["source", "address"], "127.0.0.1:1");
    stream.request_headers(get("reviews", "/", headers), true);
    stream
}

/// Sets the endpoint's metadata and the number of tries.
fn serve(stream: &mut Stream<'_>, namespace: &str, key: &str, value: &str, attempts: u64) {
    stream.set_property(&[&METADATA[..], &[namespace, key]].concat(), value);
    stream.set_property(&["upstream", "request_attempt_count"], attempts.to_le_bytes());
}

fn fallbacks(vm: &Vm, to: &str, reason: &str) -> u64 {
    let name = format!("host=.={HOST};.;from=.=v3;.;to=.={to};.;reason=.={reason};.;canary_fallbacks_total");
    vm.metric(&name).unwrap_or_default()
}

#[test]
fn reports_name_the_version_that_answered() {
    let workload = |revision: &str| format!("reviews-0;default;reviews;{revision};Kubernetes");
    // The endpoint's metadata, the number of tries, the reported version, and the reason if it is not the picked one.
    for (row, (namespace, key, value), attempts, served, reason) in [
        ("the picked one", ("canary", "version", "v3".to_owned()), 1, "v3", None),
        (
            "the next, the picked one has no endpoint",
            ("canary", "version", "v2".to_owned()),
            1,
            "v2",
            Some("no-endpoints"),
        ),
        ("the next, the picked one has failed", ("canary", "version", "v2".to_owned()), 2, "v2", Some("failed")),
        ("the last", ("canary", "version", "v1".to_owned()), 3, "v1", Some("failed")),
        ("a version outside of the order", ("canary", "version", "v9".to_owned()), 2, "v3", None),
        ("the picked one by Istio's revision", ("istio", "workload", workload("r3")), 1, "v3", None),
        ("the next by Istio's revision", ("istio", "workload", workload("r2")), 2, "v2", Some("failed")),
        ("an unknown revision", ("istio", "workload", workload("latest")), 2, "v3", None),
        ("a malformed workload", ("istio", "workload", "x".to_owned()), 2, "v3", None),
        ("bytes", ("canary", "version", "\u{fffd}".to_owned()), 2, "v3", None),
    ] {
        let vm = start();
        let filter = vm.plugin(config(json!({}), json!({"overrides": {"from": [{"cidr": "127.0.0.0/8"}]}}))).unwrap();
        let mut stream = asked(&filter, &[("x-canary-explain", b"1")]);
        assert_eq!(cluster(&stream), failover("v3"), "{row}");
        assert_eq!(stream.property(&["canary"]).unwrap(), b"version=v3 reason=weight route=all", "{row}");
        serve(&mut stream, namespace, key, &value, attempts);
        stream.response_headers([(":status", "200")], true);
        // A version that the rule does not name has no operations.
        let answer = if served == "v2" { vec![] } else { vec![served.to_owned()] };
        assert_eq!(response_values(&stream, "x-answer"), answer, "{row}");
        let explanation = response_values(&stream, "x-canary-explain").concat();
        let end = format!("; served={served}");
        assert_eq!(explanation.ends_with(&end), reason.is_some(), "{row}: {explanation}");
        let text = format!("version={served} reason=weight route=all");
        assert_eq!(stream.property(&["canary"]).unwrap(), text.as_bytes(), "{row}");
        drop(stream);
        let requests = format!("host=.={HOST};.;version=.={served};.;reason=.=weight;.;canary_requests_total");
        assert_eq!(vm.metric(&requests), Some(1), "{row}");
        let all: u64 = ["v2", "v1"]
            .iter()
            .flat_map(|to| ["no-endpoints", "failed"].map(|reason| fallbacks(&vm, to, reason)))
            .sum();
        assert_eq!(all, u64::from(reason.is_some()), "{row}");
        assert_eq!(reason.map_or(0, |reason| fallbacks(&vm, served, reason)), all, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_client_that_leaves_early_counts_for_the_picked_version() {
    let vm = start();
    let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
    let mut stream = asked(&filter, &[]);
    serve(&mut stream, "canary", "version", "v1", 3);
    drop(stream);
    let requests = format!("host=.={HOST};.;version=.=v1;.;reason=.=weight;.;canary_requests_total");
    assert_eq!((vm.metric(&requests), fallbacks(&vm, "v1", "failed")), (Some(1), 1));
}

/// v2 has answered two requests after one try of v3 each. Checks whether v3 has failed.
#[test]
fn a_failover_is_a_failure_if_every_retry_condition_is_one() {
    let gateway_error = || json!({"attempts": 1, "retryOn": "gateway-error"});
    let conflict = || json!({"attempts": 1, "retryOn": "409"});
    let istio = || json!({"namespace": "default"});
    let next = |on: &str| json!({"on": [on]});
    let (no, grpc) = (|| Value::Null, &[("content-type", &b"application/grpc"[..])][..]);
    for (row, mode, retries, retry_next, proxy, headers, body, fails) in [
        ("conditions that repeat nothing", "cluster", no(), no(), no(), &[][..], None, true),
        ("a rule's failures", "cluster", gateway_error(), no(), no(), &[], None, true),
        ("a rule's, of a body that is not sent yet", "cluster", gateway_error(), no(), no(), &[], Some(false), false),
        ("a rule's, of a body that is sent", "cluster", gateway_error(), no(), no(), &[], Some(true), true),
        ("a rule's conditions that are not failures", "cluster", conflict(), no(), no(), &[], None, false),
        ("a rule's in mode version", "version", conflict(), no(), no(), &[], None, false),
        ("a policy's failures", "cluster", no(), next("5xx"), no(), &[], None, true),
        ("a policy's conditions that are not failures", "cluster", no(), next("retriable-4xx"), no(), &[], None, false),
        ("Istio's, which are CANCELLED of gRPC, too", "version", no(), no(), istio(), &[], None, true),
        ("Istio's, of a call", "version", no(), no(), istio(), grpc, None, false),
        ("Istio's beside a rule's, of a call", "cluster", gateway_error(), no(), istio(), grpc, None, false),
        ("a rule's in place of Istio's, of a call", "version", gateway_error(), no(), istio(), grpc, None, true),
        ("a call elsewhere", "version", no(), no(), no(), grpc, None, true),
    ] {
        let vm = started();
        let accrual = json!({"consecutiveFailures": 2, "ejection": "10s"});
        let policy = json!({"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"], "failureAccrual": accrual, "retryNext": retry_next});
        let rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v3"}}], "retries": retries});
        let fields = json!({"mode": mode, "clusters": {"failover": true}, "policies": [policy], "proxy": proxy});
        let filter = vm.plugin(document(rule, fields)).unwrap();
        let ask = || {
            let mut stream = filter.stream();
            stream.request_headers(get("reviews", "/", headers), body.is_none());
            stream
        };
        for _ in 0..2 {
            let mut stream = ask();
            if let Some(is_last) = body {
                stream.request_body(3, is_last);
            }
            serve(&mut stream, "canary", "version", "v2", 2);
            stream.response_headers([(":status", "200")], true);
        }
        let version = String::from_utf8(ask().request_values("x-canary-version").concat()).unwrap();
        assert_eq!(version, if fails { "v2" } else { "v3" }, "{row}");
    }
}

#[test]
fn each_version_is_judged_by_its_own_results() {
    let accrual = json!({"failureAccrual": {"consecutiveFailures": 2, "ejection": "10s"}});
    let unreachable = End { flags: 1 << 5, status: 503, ..OK };
    let empty = End { flags: 1 << 1, status: 503, reached: false, ..OK };
    // Two requests: the version that answered, the number of tries, and the result. Then the version of the next request.
    for (row, served, attempts, result, headers, expected) in [
        ("it has answered", "v3", 1, OK, vec![], "v3"),
        ("it fails and is not replaced", "v3", 1, FAILED, vec![], "v2"),
        ("its try failed", "v2", 2, OK, vec![], "v2"),
        ("it had no endpoint", "v2", 1, OK, vec![], "v3"),
        ("the next fails, it had no endpoint", "v2", 1, FAILED, vec![], "v3"),
        ("the tries of both failed", "v1", 3, OK, vec![], "v1"),
        ("the try of one failed", "v1", 2, OK, vec![], "v3"),
        ("the tries of all failed", "v1", 3, unreachable, vec![], "v3"),
        ("none has an endpoint", "", 1, empty, vec![], "v3"),
        ("the client limits each try", "v2", 2, OK, vec![("x-envoy-upstream-rq-per-try-timeout-ms", &b"1"[..])], "v3"),
        ("the client says what is repeated", "v2", 2, OK, vec![("x-envoy-retry-on", &b"5xx"[..])], "v3"),
        ("the client sends large headers", "v2", 2, OK, vec![("x-large", &[b'a'; 9_000][..])], "v3"),
    ] {
        let vm = started();
        let filter = vm.plugin(config(accrual.clone(), json!({}))).unwrap();
        for _ in 0..2 {
            let mut stream = asked(&filter, &headers);
            if !served.is_empty() {
                serve(&mut stream, "canary", "version", served, attempts);
            }
            let resolved = cluster(&stream);
            stream.response_headers([(":status", "200")], true);
            end_at(&mut stream, result, &resolved);
        }
        assert_eq!(next(&filter), failover(expected), "{row}");
        vm.advance(TICK);
        assert_eq!(next(&filter), failover(expected), "{row}, after a tick");
    }
}

/// A retry may follow a response that is not a failure, and one version may have been tried twice.
#[test]
fn a_retry_after_a_response_does_not_count_as_a_failure() {
    let vm = started();
    let policy = json!({
        "retryNext": {"statuses": [404]},
        "failureAccrual": {"consecutiveFailures": 1, "ejection": "10s"},
    });
    let filter = vm.plugin(config(policy, json!({}))).unwrap();
    let mut stream = asked(&filter, &[]);
    serve(&mut stream, "canary", "version", "v2", 2);
    let resolved = cluster(&stream);
    stream.response_headers([(":status", "200")], true);
    end_at(&mut stream, OK, &resolved);
    drop(stream);
    assert_eq!(next(&filter), failover("v3"));
}

#[test]
fn no_fallback_is_reported_for_a_whole_service_or_another_route() {
    let everything = json!({"virtualServices": [{"hosts": ["reviews"], "http": [{"name": "all",
        "route": [{"destination": {"host": "reviews"}, "headers": {"response": {"set": {"x-answer": "all"}}}}]}]}]});
    for (row, more, elsewhere) in [
        ("the service as a whole", everything, None),
        ("a native route that does not follow the filter", json!({}), Some(reviews("v1"))),
    ] {
        let vm = start();
        let filter = vm.plugin(config(json!({}), more)).unwrap();
        let mut stream = asked(&filter, &[]);
        serve(&mut stream, "canary", "version", "v1", 1);
        if let Some(cluster) = elsewhere {
            stream.set_property(&["xds", "cluster_name"], cluster);
        }
        stream.response_headers([(":status", "200")], true);
        assert_eq!(response_values(&stream, "x-answer").len(), 1, "{row}");
        drop(stream);
        let counted = vm.metrics().into_iter().filter(|name| name.contains("canary_fallbacks_total"));
        assert_eq!(counted.collect::<Vec<_>>(), [""; 0], "{row}");
    }
}

#[test]
fn outages_expire_after_failover_clusters_are_added() {
    let vm = started();
    let filter = vm.plugin(config(json!({}), json!({"clusters": {}}))).unwrap();
    let mut stream = asked(&filter, &[]);
    let missing = End { flags: 1 << 24, status: 503, reached: false, ..OK };
    end_at(&mut stream, missing, &reviews("v3"));
    drop(stream);
    assert_eq!(next(&filter), reviews("v2"));
    filter.configure(config(json!({}), json!({}))).unwrap();
    assert_eq!(next(&filter), failover("v2"));
    for _ in 0..60 {
        vm.advance(TICK);
    }
    assert_eq!(next(&filter), failover("v3"));
}

#[test]
fn with_failover_clusters_no_outage_is_recorded() {
    for (row, failover, expected) in [("failover clusters", true, "v3"), ("none", false, "v2")] {
        let vm = started();
        let filter = vm.plugin(config(json!({}), json!({"clusters": {"failover": failover}}))).unwrap();
        let mut stream = asked(&filter, &[]);
        let resolved = cluster(&stream);
        end_at(&mut stream, End { flags: 1 << 24, status: 503, reached: false, ..OK }, &resolved);
        drop(stream);
        assert!(next(&filter).ends_with(&reviews(expected)), "{row}");
        vm.advance(TICK);
        assert_eq!(vm.shared_data("canary_clusters").is_some(), !failover, "{row}");
    }
}

/// A client's session may name an endpoint that no longer exists, while the cluster has others.
#[test]
fn a_missing_session_endpoint_does_not_make_a_cluster_empty() {
    for (row, endpoints, expected) in [("others are there", 3_u64, "v3"), ("none is", 0, "v2")] {
        let vm = started();
        let filter = vm.plugin(config(json!({}), json!({"clusters": {}}))).unwrap();
        let mut stream = asked(&filter, &[]);
        stream.set_property(&["upstream", "num_endpoints"], endpoints.to_le_bytes());
        end_at(&mut stream, End { flags: 1 << 1, status: 503, reached: false, ..OK }, &reviews("v3"));
        drop(stream);
        assert_eq!(next(&filter), reviews(expected), "{row}");
    }
}

/// Clients can choose any port, and could fill a table that is indexed by ports.
#[test]
fn no_state_is_kept_for_ports_outside_the_configuration() {
    let services = json!([{"host": "reviews", "ports": [9080, 9081]}]);
    let accrual = json!({"failureAccrual": {"consecutiveFailures": 1}});
    let mirror = json!({"host": "reviews", "subset": "v2"});
    for failover in [true, false] {
        let vm = started();
        let more = json!({"clusters": {"failover": failover}, "services": services});
        let mut text: Value = serde_json::from_str(&config(accrual.clone(), more)).unwrap();
        text["virtualServices"][0]["spec"]["http"][0]["mirror"] = mirror.clone();
        let filter = vm.plugin(text.to_string()).unwrap();
        let ask = |port: u32, end: End| {
            let mut stream = filter.stream();
            stream.request_headers(get(&format!("reviews:{port}"), "/", &[]), true);
            let resolved = cluster(&stream);
            end_at(&mut stream, end, &resolved);
            resolved
        };
        for port in 20_000..21_100 {
            let own = format!("outbound|{port}|v3|{HOST}");
            assert_eq!(ask(port, FAILED), own, "a port outside the configuration has no failover cluster");
            assert_eq!(
                ask(port, End { flags: 1 << 24, reached: false, ..FAILED }),
                own,
                "and no outage of it is recorded"
            );
        }
        vm.advance(TICK);
        for key in ["canary_accruals", "canary_clusters"] {
            assert!(vm.shared_data(key).is_none_or(|shared| shared == [0; 4]), "{failover}: {key}");
        }
        let mirrors: Vec<_> = vm.metrics().into_iter().filter(|name| name.contains("mirrors")).collect();
        assert_eq!(mirrors.len(), 1, "{failover}: {mirrors:?}");
        let known = ask(9_081, FAILED);
        assert!(known.ends_with(&format!("outbound|9081|v3|{HOST}")), "{known}");
        assert!(
            ask(9_081, OK).ends_with(&format!("outbound|9081|v2|{HOST}")),
            "{failover}: a port of the configuration"
        );
    }
}
