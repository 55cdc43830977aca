//! Local replies: redirects, direct responses, aborts, CORS preflights.

use crate::fixture::{document, get, preflight, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use serde_json::{Value, json};

/// Name, rule, request, and reply: status, gRPC status, details, headers, body.
type Row<'a> = (
    &'static str,
    Value,
    Vec<(&'a str, &'a [u8])>,
    (u32, i32, &'static str, Vec<(&'static str, &'static str)>, &'static str),
);

#[test]
fn replies_are_complete_and_not_changed_later() {
    let abort = |status: Value| {
        let mut abort = status;
        abort["percentage"] = json!({"value": 100});
        json!({"fault": {"abort": abort}, "headers": {"response": {"set": {"x-a": "1"}, "add": {"x-a": "2"}}}})
    };
    let get = || get("reviews", "/", &[]);
    let injected = |status, grpc_status| {
        (status, grpc_status, "canary_fault_abort", vec![("x-a", "1"), ("x-a", "2")], "fault filter abort")
    };
    let rows: Vec<Row<'_>> = vec![
        ("abort by HTTP", abort(json!({"httpStatus": 503})), get(), injected(503, -1)),
        ("abort by gRPC", abort(json!({"grpcStatus": "UNAVAILABLE"})), get(), injected(200, 14)),
        (
            "redirect",
            json!({"redirect": {"uri": "/b", "authority": "b.io", "redirectCode": 308},
                   "headers": {"response": {"set": {"x-a": "1"}}}}),
            get(),
            (308, -1, "canary_redirect", vec![("location", "http://b.io/b"), ("x-a", "1")], ""),
        ),
        (
            "direct response",
            json!({"directResponse": {"status": 418, "body": {"string": "tea"}},
                   "headers": {"response": {"set": {"content-type": "text/tea"}}}}),
            get(),
            (418, -1, "canary_direct_response", vec![("content-type", "text/tea")], "tea"),
        ),
        (
            "CORS preflight",
            json!({"corsPolicy": {"allowOrigins": [{"exact": "http://a.io"}], "allowMethods": ["PUT", "GET"]},
                   "headers": {"response": {"set": {"x-a": "1"}}}}),
            preflight(),
            (
                200,
                -1,
                "canary_cors_preflight",
                vec![("access-control-allow-origin", "http://a.io"), ("access-control-allow-methods", "PUT,GET")],
                "",
            ),
        ),
    ];
    for (row, rule, request, (status, grpc_status, details, reply_headers, body)) in rows {
        let vm = start();
        let plugin = vm.plugin(document(rule, json!({}))).unwrap();
        let mut stream = plugin.stream();
        assert_eq!(stream.request_headers(request, true), Action::Pause, "{row}");
        let sent = stream.local_response().unwrap();
        assert_eq!((sent.status, sent.grpc_status, sent.details.as_str()), (status, grpc_status, details), "{row}");
        let mut sent_headers = sent.headers.clone();
        sent_headers.sort();
        let line = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let mut expected: Vec<_> = reply_headers.iter().map(line).collect();
        expected.sort();
        assert_eq!(sent_headers, expected, "{row}");
        assert_eq!(sent.body, body.as_bytes(), "{row}");
        assert_eq!(stream.response().len(), sent.headers.len() + 1, "{row}: the response phase adds nothing");
        assert_eq!(stream.route_cache_clears(), 0, "{row}");
        drop(stream);
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_reply_also_removes_forged_control_headers() {
    let vm = start();
    let plugin = vm.plugin(document(json!({"redirect": {"uri": "/b"}}), json!({}))).unwrap();
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", &[("x-canary-cluster", b"forged"), ("x-canary-version", b"v9")]), true);
    assert_eq!(stream.request().len(), 4);
}
