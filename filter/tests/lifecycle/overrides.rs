//! Trusted clients: forced versions, explanations and secrets. Other clients are ignored.

use crate::fixture::{document, get, response_values, start};
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

/// Trusts 10.20.0.0/16, a principal, and clients with the secret `test`.
fn config(rule: Value, more: Value) -> String {
    let mut fields = json!({
        "policies": [{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"]}],
        "overrides": {"from": [
            {"cidr": "10.20.0.0/16"},
            {"principal": "spiffe://cluster.local/ns/test/*"},
            {"secret": {"header": "x-canary-secret",
                        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}]}});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(rule, fields)
}

/// A request of a client with this address.
fn asked<'vm>(plugin: &Plugin<'vm>, host: &str, address: &str, headers: &[(&str, &[u8])]) -> Stream<'vm> {
    let mut stream = plugin.stream();
    stream.set_property(&["source", "address"], address);
    stream.request_headers(get(host, "/", headers), true);
    stream
}

fn explained(stream: &mut Stream<'_>) -> Vec<String> {
    if let Some(reply) = stream.local_response() {
        let lines = reply.headers.into_iter().filter(|(name, _)| name == b"x-canary-explain");
        return lines.map(|(_, value)| String::from_utf8(value).unwrap()).collect();
    }
    stream.response_headers([(":status", "200")], true);
    response_values(stream, "x-canary-explain")
}

fn count(vm: &Vm, header: &str, result: &str) -> u64 {
    vm.metric(&format!("type=.={header};.;result=.={result};.;canary_overrides_total")).unwrap_or_default()
}

#[test]
fn only_trusted_clients_may_override() {
    let (near, far, forwarded) = ("10.20.0.7:4711", "192.0.2.1:4711", "10.20.0.7:0");
    let long = vec![b'x'; 4_000];
    let secret = |value: &'static [u8]| vec![("x-canary-secret", value)];
    for (row, address, headers, trusted) in [
        ("a trusted address", near, vec![], true),
        ("another", far, vec![], false),
        ("a trusted one from X-Forwarded-For", forwarded, vec![("x-forwarded-for", &b"10.20.0.7"[..])], false),
        ("none", "", vec![], false),
        ("a trusted address with a wrong secret", near, secret(b"wrong"), true),
        ("the secret", far, secret(b"test"), true),
        ("a wrong secret", far, secret(b"tesT"), false),
        ("an empty secret", far, secret(b""), false),
        ("the secret twice", far, [secret(b"test"), secret(b"test")].concat(), false),
        ("the secret and another", far, [secret(b"test"), secret(b"x")].concat(), false),
        ("the secret twice in a value", far, secret(b"test,test"), false),
        ("an oversized secret", far, vec![("x-canary-secret", &long[..])], false),
        ("the secret under another name", far, vec![("x-secret", &b"test"[..])], false),
        ("the digest", far, secret(b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"), false),
    ] {
        for host in ["reviews", "unknown.example"] {
            let vm = start();
            let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
            let control = [("x-canary-version", &b"v3"[..]), ("x-canary-explain", &b"1"[..])];
            let mut stream = asked(&filter, host, address, &[&control[..], &headers].concat());
            let version = stream.request_values("x-canary-version");
            let expected = (host == "reviews").then_some(if trusted { b"v3" } else { b"v1" });
            assert_eq!(version, expected.into_iter().collect::<Vec<_>>(), "{row}, {host}");
            assert_eq!(stream.request_values("x-canary-secret"), [b""; 0], "{row}, {host}");
            assert_eq!(stream.request_values("x-canary-explain"), [b""; 0], "{row}, {host}");
            assert_eq!(explained(&mut stream).len(), usize::from(trusted), "{row}, {host}");
            for header in ["version", "explain"] {
                let counts = (count(&vm, header, "granted"), count(&vm, header, "refused"));
                assert_eq!(counts, if trusted { (1, 0) } else { (0, 1) }, "{row}, {host}: {header}");
            }
        }
    }
}

#[test]
fn secrets_are_always_removed() {
    for (row, host, failing) in
        [("a known host", "reviews", false), ("an unknown one", "other.io", false), ("unread", "reviews", true)]
    {
        let vm = start();
        let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
        if failing {
            vm.fail("proxy_get_header_map_pairs", 10);
        }
        let stream = asked(&filter, host, "192.0.2.1:1", &[("x-canary-secret", b"test")]);
        assert_eq!(stream.request_values("x-canary-secret"), [b""; 0], "{row}");
        assert_eq!((count(&vm, "version", "granted"), count(&vm, "explain", "granted")), (0, 0), "{row}");
    }
}

#[test]
fn a_principal_is_trusted() {
    for (principal, expected) in [("spiffe://cluster.local/ns/test/sa/qa", "v3"), ("spiffe://cluster.local/ns/x", "v1")]
    {
        let vm = start();
        let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
        let mut stream = filter.stream();
        stream.set_property(&["connection", "uri_san_peer_certificate"], principal);
        stream.request_headers(get("reviews", "/", &[("x-canary-version", b"v3")]), true);
        assert_eq!(stream.request_values("x-canary-version"), [expected.as_bytes()], "{principal}");
    }
}

#[test]
fn every_response_may_carry_an_explanation() {
    let abort = json!({"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}});
    let later = json!({"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}},
                                 "delay": {"fixedDelay": "20ms", "percentage": {"value": 100}}}});
    let native = json!({"faults": {"delay": "faultFilter"}});
    for (row, rule, more, host, header, expected) in [
        (
            "forwarded",
            json!({"name": "r"}),
            json!({}),
            "reviews",
            "1",
            Some("route=r; rule=/virtualServices/0/spec/http/0; outcome=forward; reason=rule; version=v1; cluster="),
        ),
        ("aborted", abort.clone(), json!({}), "reviews", "1", Some("; reply=418 ")),
        ("aborted after a delay", later, json!({}), "reviews", "1", Some("; delay=20ms; abort=418")),
        ("aborted by the fault filter", abort, native, "reviews", "1", Some("; abort=418")),
        ("redirected", json!({"redirect": {"uri": "/x"}}), json!({}), "reviews", "1", Some("; reply=301 ")),
        ("nobody's host", json!({}), json!({}), "other.io", "1", Some("outcome=untouched")),
        ("another value", json!({}), json!({}), "reviews", "yes", None),
        ("its header is off", json!({}), json!({"headers": {"explain": ""}}), "reviews", "1", None),
    ] {
        let vm = start();
        vm.set_time(1_795_000_000_000_000_000);
        let filter = vm.plugin(config(rule, more)).unwrap();
        let mut stream = asked(&filter, host, "10.20.0.7:4711", &[("x-canary-explain", header.as_bytes())]);
        vm.advance(std::time::Duration::from_millis(31));
        let lines = explained(&mut stream);
        let text = expected.is_some().then(|| lines.concat());
        assert_eq!(lines.len(), usize::from(expected.is_some()), "{row}: {lines:?}");
        assert!(text.as_deref().is_none_or(|text| text.contains(expected.unwrap())), "{row}: {text:?}");
    }
}
