//! The headers of a forwarded request and of its response.

use crate::fixture::{changed, changes, document, get, response_values, reviews, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use serde_json::{Value, json};

const ALL: &str = "outbound|9080||reviews.default.svc.cluster.local";

/// Name, rule, further top-level fields, further request headers, the changes except version and cluster, and how often
/// the filter writes.
type Row<'a> = (&'static str, Value, Value, &'a [(&'a str, &'a [u8])], Vec<(&'static str, &'static str)>, usize);

#[test]
fn requests() {
    let headers = |operations: Value| json!({"headers": {"request": operations}});
    let off = json!({"headers": {"host": ""}});
    let mirror = |subset: &str| json!({"destination": {"host": "reviews", "subset": subset}});
    let none = || json!({});
    let right: [(&str, &[u8]); 2] = [("x-set", b"1"), ("x-envoy-upstream-rq-timeout-ms", b"1500")];
    let forged_mirrors: [(&str, &[u8]); 3] =
        [("x-canary-mirror", b"m"), ("x-canary-mirror-2", b"m"), ("x-canary-mirror-3", b"m")];
    let rows: Vec<Row<'_>> = vec![
        ("nothing more", none(), none(), &[], vec![], 2),
        (
            "rewritten path",
            json!({"match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/b"}}),
            none(),
            &[],
            vec![(":path", "/b/1?q=2"), ("x-envoy-original-path", "/a/1?q=2")],
            4,
        ),
        (
            "rewritten to the same",
            json!({"match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/a"}}),
            none(),
            &[],
            vec![("x-envoy-original-path", "/a/1?q=2")],
            3,
        ),
        (
            "a forged original path",
            json!({"rewrite": {"uri": "/b"}}),
            none(),
            &[("x-envoy-original-path", b"/forged")],
            vec![(":path", "/ba/1?q=2"), ("x-envoy-original-path", "/a/1?q=2")],
            4,
        ),
        (
            "rewritten authority",
            json!({"rewrite": {"authority": "ratings"}}),
            none(),
            &[],
            vec![("x-canary-host", "ratings")],
            3,
        ),
        (
            "rewritten to the same authority",
            json!({"rewrite": {"authority": "reviews"}}),
            none(),
            &[],
            vec![("x-canary-host", "reviews")],
            3,
        ),
        (
            "to the same authority, forged host",
            json!({"rewrite": {"authority": "reviews"}}),
            none(),
            &[("x-canary-host", b"forged")],
            vec![("x-canary-host", "reviews")],
            3,
        ),
        (
            "no header for the authority",
            json!({"rewrite": {"authority": "ratings"}}),
            off,
            &[],
            vec![(":authority", "ratings"), ("x-envoy-original-host", "reviews")],
            4,
        ),
        ("timeout", json!({"timeout": "1.5s"}), none(), &[], vec![("x-envoy-upstream-rq-timeout-ms", "1500")], 3),
        (
            "a client's timeout",
            json!({"timeout": "1.5s"}),
            none(),
            &[("x-envoy-upstream-rq-timeout-ms", b"1")],
            vec![("x-envoy-upstream-rq-timeout-ms", "1500")],
            3,
        ),
        (
            "retries",
            json!({"retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,unavailable,503,reset,cancelled,429"}}),
            none(),
            &[],
            vec![
                ("x-envoy-max-retries", "3"),
                ("x-envoy-upstream-rq-per-try-timeout-ms", "2000"),
                ("x-envoy-retry-on", "5xx,reset,retriable-status-codes"),
                ("x-envoy-retry-grpc-on", "unavailable,cancelled"),
                ("x-envoy-retriable-status-codes", "503,429"),
            ],
            7,
        ),
        (
            "retries for gRPC only",
            json!({"retries": {"attempts": 1, "retryOn": "internal"}}),
            none(),
            &[],
            vec![("x-envoy-max-retries", "1"), ("x-envoy-retry-grpc-on", "internal")],
            4,
        ),
        ("retries off", json!({"retries": {"attempts": 0}}), none(), &[], vec![], 2),
        (
            "one mirror, the others forged",
            json!({"mirror": {"host": "reviews", "subset": "v2"}}),
            none(),
            &forged_mirrors,
            vec![
                ("x-canary-mirror", "outbound|9080|v2|reviews.default.svc.cluster.local"),
                ("x-canary-mirror-2", "-"),
                ("x-canary-mirror-3", "-"),
            ],
            5,
        ),
        (
            "three mirrors",
            json!({"mirrors": [mirror("v2"), mirror("v3"), {"destination": {"host": "reviews"}}]}),
            none(),
            &[],
            vec![
                ("x-canary-mirror", "outbound|9080|v2|reviews.default.svc.cluster.local"),
                ("x-canary-mirror-2", "outbound|9080|v3|reviews.default.svc.cluster.local"),
                ("x-canary-mirror-3", ALL),
            ],
            5,
        ),
        (
            "set, add, remove",
            headers(json!({"set": {"x-set": "1"}, "add": {"x-add": "2"}, "remove": ["x-gone", "x-absent"]})),
            none(),
            &[("x-set", b"a"), ("x-set", b"b"), ("x-add", b"1"), ("x-gone", b"a"), ("x-gone", b"b")],
            vec![("x-set", "1"), ("x-add", "1 & 2"), ("x-gone", "-")],
            5,
        ),
        (
            "set and add",
            headers(json!({"set": {"x-set": "1"}, "add": {"x-set": "2"}})),
            none(),
            &[],
            vec![("x-set", "1 & 2")],
            4,
        ),
        (
            "right already",
            json!({"headers": {"request": {"set": {"x-set": "1"}}}, "timeout": "1500ms"}),
            none(),
            &right,
            vec![],
            2,
        ),
        (
            "neither a control header nor a steering header",
            json!({"timeout": "1s", "headers": {"request": {
                "set": {"x-canary-cluster": "other", "x-envoy-upstream-rq-timeout-ms": "7"},
                "add": {"x-canary-version": "v9", "x-canary-explain": "1"}, "remove": ["x-canary-version"]}}}),
            none(),
            &[],
            vec![("x-envoy-upstream-rq-timeout-ms", "1000")],
            3,
        ),
        (
            "format string",
            headers(json!({"set": {"x-set": "%REQ(x-a)% by %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}})),
            none(),
            &[("x-a", b"1")],
            vec![("x-set", "1 by 2001:db8::7")],
            3,
        ),
    ];
    for (row, rule, more, headers, expected, writes) in rows {
        let vm = start();
        let plugin = vm.plugin(document(rule, more)).unwrap();
        let mut stream = plugin.stream();
        stream.set_property(&["source", "address"], "[2001:db8::7]:4711");
        let before = get("reviews", "/a/1?q=2", headers);
        assert_eq!(stream.request_headers(before.clone(), true), Action::Continue, "{row}");
        let mut expected = changes(&expected);
        expected
            .extend(changes(&[("x-canary-version", "v1"), ("x-canary-cluster", &reviews("v1"))].map(|(n, v)| (n, v))));
        assert_eq!(changed(&before, &stream.request()), expected, "{row}");
        assert_eq!(stream.route_cache_clears(), writes, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn format_strings_read_properties_of_the_host() {
    let ipv4 = ("source", "address", "10.1.2.3:4711");
    let ipv6 = ("source", "address", "[2001:db8::7]:4711");
    for (command, (object, name, value), expected) in [
        ("PROTOCOL", ("request", "protocol", "HTTP/1.1"), "HTTP/1.1"),
        ("DOWNSTREAM_REMOTE_ADDRESS", ipv4, "10.1.2.3:4711"),
        ("DOWNSTREAM_REMOTE_ADDRESS", ipv6, "[2001:db8::7]:4711"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", ipv4, "10.1.2.3"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", ipv6, "2001:db8::7"),
        ("DOWNSTREAM_REMOTE_PORT", ipv4, "4711"),
        ("DOWNSTREAM_REMOTE_PORT", ipv6, "4711"),
        ("DOWNSTREAM_REMOTE_PORT", ("source", "address", "/a/socket"), ""),
        ("DOWNSTREAM_LOCAL_ADDRESS", ("destination", "address", "10.1.2.4:80"), "10.1.2.4:80"),
        ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", ("destination", "address", "10.1.2.4:80"), "10.1.2.4"),
        ("DOWNSTREAM_LOCAL_PORT", ("destination", "address", "10.1.2.4:80"), "80"),
        ("REQUESTED_SERVER_NAME", ("connection", "requested_server_name", "a.io"), "a.io"),
        ("DOWNSTREAM_PEER_URI_SAN", ("connection", "uri_san_peer_certificate", "spiffe://a"), "spiffe://a"),
        ("DOWNSTREAM_PEER_SUBJECT", ("connection", "subject_peer_certificate", "CN=a"), "CN=a"),
        ("DOWNSTREAM_TLS_VERSION", ("connection", "tls_version", "TLSv1.3"), "TLSv1.3"),
        ("DOWNSTREAM_TLS_VERSION", ("connection", "other", "x"), ""),
    ] {
        let vm = start();
        let set = json!({"set": {"x-a": format!("<%{command}%>")}});
        let plugin = vm.plugin(document(json!({"headers": {"request": set}}), json!({}))).unwrap();
        let mut stream = plugin.stream();
        stream.set_property(&[object, name], value);
        stream.request_headers(get("reviews", "/", &[]), true);
        assert_eq!(stream.request_values("x-a"), [format!("<{expected}>").into_bytes()], "{command} of {value}");
    }
    let vm = start();
    let unmeasured = json!({"metrics": {"responses": false}});
    vm.plugin(document(json!({}), unmeasured)).unwrap().stream().request_headers(get("reviews", "/", &[]), true);
    let asked_by_on_configure = 3;
    assert_eq!(
        vm.calls("proxy_get_property"),
        asked_by_on_configure,
        "no property is read without a rule that needs it"
    );
}

#[test]
fn responses() {
    let rule = json!({
        "headers": {"response": {"set": {"x-set": "1"}, "add": {"x-add": "2", "x-set": "2"}, "remove": ["x-gone"]}},
        "corsPolicy": {"allowOrigins": [{"exact": "http://a.io"}], "allowCredentials": true}});
    for (row, status) in [("the upstream's", "200"), ("Envoy's own, after routing", "503")] {
        let vm = start();
        let plugin = vm.plugin(document(rule.clone(), json!({}))).unwrap();
        let mut stream = plugin.stream();
        stream.request_headers(get("reviews", "/", &[("origin", b"http://a.io")]), true);
        let writes = stream.route_cache_clears();
        let before: [(&str, &[u8]); 5] =
            [(":status", status.as_bytes()), ("x-set", b"a"), ("x-set", b"b"), ("x-add", b"1"), ("x-gone", b"a")];
        assert_eq!(stream.response_headers(before, false), Action::Continue, "{row}");
        let expected = changes(&[
            ("x-set", "1 & 2"),
            ("x-add", "1 & 2"),
            ("x-gone", "-"),
            ("access-control-allow-origin", "http://a.io"),
            ("access-control-allow-credentials", "true"),
        ]);
        assert_eq!(changed(&before, &stream.response()), expected, "{row}");
        assert_eq!(stream.route_cache_clears(), writes, "{row}: the response phase leaves the request alone");
        stream.response_headers(before, true);
        assert!(changed(&before, &stream.response()).is_empty(), "{row}: once");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_response_without_changes_costs_no_host_call() {
    let vm = start();
    let plugin = vm.plugin(document(json!({}), json!({}))).unwrap();
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[]), true);
    let calls = |vm: &sdk_shims::test_host::Vm| {
        ["proxy_replace_header_map_value", "proxy_add_header_map_value", "proxy_get_header_map_pairs"]
            .map(|c| vm.calls(c))
    };
    let before = calls(&vm);
    stream.response_headers([(":status", "200")], true);
    assert_eq!(calls(&vm), before);
}

#[test]
fn version_mode_sets_the_version_and_strips_the_rest() {
    let rule = json!({
        "match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/b", "authority": "b"}, "timeout": "1s",
        "retries": {"attempts": 1}, "mirror": {"host": "reviews", "subset": "v2"},
        "headers": {"request": {"set": {"x-a": "1"}}, "response": {"set": {"x-b": "1"}}},
        "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 100}},
                  "abort": {"httpStatus": 500, "percentage": {"value": 100}}}});
    let forged: Vec<(&str, &[u8])> =
        crate::fixture::CONTROL_HEADERS.into_iter().map(|name| (name, &b"forged"[..])).collect();
    let gone: Vec<_> = crate::fixture::CONTROL_HEADERS.into_iter().skip(1).map(|name| (name, "-")).collect();
    for (row, path, version) in [("a rule", "/a", Some("v1")), ("no rule: the native routes answer", "/other", None)] {
        let vm = start();
        let plugin = vm.plugin(document(rule.clone(), json!({"mode": "version"}))).unwrap();
        let mut stream = plugin.stream();
        let before = get("reviews", path, &forged);
        assert_eq!(stream.request_headers(before.clone(), true), Action::Continue, "{row}");
        let mut expected = changes(&gone);
        expected.extend(changes(&[("x-canary-version", version.unwrap_or("-"))]));
        assert_eq!(changed(&before, &stream.request()), expected, "{row}");
        stream.response_headers([(":status", "200")], true);
        assert!(response_values(&stream, "x-b").is_empty(), "{row}");
        assert_eq!((vm.ticking(), stream.local_response()), (0, None), "{row}");
    }
}
