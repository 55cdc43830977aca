//! A gRPC service whose clients name the version. Whatever they send, a version that can serve gets the call, and the
//! header names it.

use canary_config::failover_name;
use e2e::{
    bootstrap::{Surroundings, native_route},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{self, Protocol, Request},
    grpc,
    load::Load,
    upstream::{TEST_ID, VERSION_HEADER},
};
use serde_json::{Value, json};

use super::{assert_none_lost, assert_some_lost, native_by_header, start, start_as, start_native, with_fallback};
use crate::{
    Subject,
    documents::{all_to, document, to},
};

const HEADER: &str = "grpcsvc";
const REQUESTS: u64 = 500;
const CONNECTIONS: u64 = 4;

/// A rule for each version and no catch-all; v3 has no cluster.
fn by_header() -> Value {
    let rule = |version| json!({"match": [{"headers": {HEADER: {"exact": version}}}], "route": to(version)});
    let mut document = document(&[("reviews", json!(["v1", "v2", "v3"].map(rule)))]);
    document["policies"] = json!([{
        "hosts": ["reviews"],
        "defaultSubset": "v1",
        "versionHeader": {"name": HEADER, "protocols": ["grpc"]},
    }]);
    document
}

/// In requests of the other protocol the client's header is passed on unchanged.
pub(crate) async fn counts_for_its_protocol(subject: &Subject) {
    let get = || Request::new("reviews", "/").header(HEADER, "mine");
    // The protocols of the version header, and the header of v1 in a GET and in a call through v2's failover cluster.
    for (row, protocols, in_get, in_call) in [
        ("every", json!(["http", "grpc"]), "v1", "v1"),
        ("gRPC", json!(["grpc"]), "mine", "v1"),
        ("HTTP", json!(["http"]), "v1", "mine"),
    ] {
        let mut document = all_to("v2");
        document["policies"] = json!([{
            "hosts": ["reviews"],
            "fallback": ["v2", "v1"],
            "versionHeader": {"name": HEADER, "protocols": protocols, "versions": ["v2"]},
        }]);
        for failover in subject.all_failover() {
            let canary = start_as(subject, *failover, &document, &["v1", NATIVE]).await;
            let _log = canary.envoy.show_log_on_panic();
            for (kind, request, seen) in [
                ("GET", get(), in_get),
                ("GET with a type", get().header("content-type", "text/plain"), in_get),
                ("call", call(&[b"mine".to_vec()]), in_call),
            ] {
                let id = format!("{row}, {kind}, {failover:?}");
                let answer = client::send(canary.address, Protocol::Http2, &request.header(TEST_ID, &id)).await;
                assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{id}");
                assert_eq!(canary.upstream("v1").recorded(&id)[0].texts(HEADER), [seen], "{id}");
            }
        }
    }
}

/// A unary call as any client could send it, with these values of the header.
fn call(values: &[Vec<u8>]) -> Request {
    let request = Request::new("reviews", grpc::GET).method("POST").body(vec![0; 5]);
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    values.iter().fold(request, |request, value| request.header(HEADER, value))
}

pub(crate) async fn of_every_kind_is_served(subject: &Subject) {
    let canary = start(subject, &by_header(), &["v1", "v2", NATIVE]).await;
    let native = start_native(subject, &native_by_header(HEADER, &["v1", "v2", "v3"]), &["v1", "v2", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    let one = |value: &[u8]| vec![value.to_vec()];
    let mut lost = Vec::new();
    for (row, values, served_by) in [
        ("known", one(b"v2"), "v2"),
        ("the default", one(b"v1"), "v1"),
        ("a version without a cluster", one(b"v3"), "v1"),
        ("unknown", one(b"v9"), "v1"),
        ("absent", vec![], "v1"),
        ("empty", one(b""), "v1"),
        ("repeated", vec![b"v2".to_vec(), b"v2".to_vec()], "v1"),
        ("repeated, unknown first", vec![b"v9".to_vec(), b"v2".to_vec()], "v1"),
        ("8 KB", vec![vec![b'v'; 8_192]], "v1"),
        ("not UTF-8", one(b"v2\xff\xfe"), "v1"),
        ("in another case", one(b"V2"), "v1"),
        ("two in one line", one(b"v2,v2"), "v1"),
        ("garbage", one(b"../v2;%s${jndi}\t\"'"), "v1"),
    ] {
        let request = call(&values).header(TEST_ID, row);
        let answer = client::send(canary.address, Protocol::Http2, &request).await;
        let trailers = answer.trailers.clone().unwrap_or_default();
        let status = trailers.get("grpc-status").map(|status| status.as_bytes());
        assert_eq!((answer.status, status, answer.served_by.as_str()), (200, Some(&b"0"[..]), served_by), "{row}");
        let recorded = canary.upstream(served_by).recorded(row);
        assert_eq!(recorded.len(), 1, "{row}");
        assert_eq!(recorded[0].values(HEADER), [served_by.as_bytes()], "{row}: the header at the upstream");
        let control = client::send(native.address, Protocol::Http2, &request).await;
        lost.extend(control.served_by.is_empty().then_some(row));
    }
    eprintln!("13 kinds of version headers: 0 lost; native routes alone lose {}: {lost:?}", lost.len());
    assert!(lost.len() >= 8, "the control loses {lost:?} only");
    canary.envoy.assert_no_crash();
    for (value, served_by) in [("v1", "v1"), ("v2", "v2"), ("v3", "v1"), ("v9", "v1")] {
        let mut client = grpc::Client::open(canary.address, "reviews").await.expect("a connection");
        let metadata = [(HEADER, value)];
        assert_eq!(client.call(grpc::GET, &metadata).await.expect("an answer"), served_by, "unary, {value}");
        let names = client.stream(grpc::LIST, &metadata).await.expect("answers").messages;
        assert_eq!(names, [served_by; grpc::MESSAGES], "server streaming, {value}");
    }
}

/// `mode: version`: native routes by the version header, v2's cluster missing.
pub(crate) async fn native_routes_lose_nothing(subject: &Subject) {
    let failover = subject.failover();
    let mut document = with_fallback(all_to("v2"), &["v2", "v1"]);
    document["mode"] = json!("version");
    for (row, goes_on) in [("to failover clusters", true), ("to versions alone", false)] {
        let route = |version: &str| {
            let own = cluster_name(version);
            let cluster = if goes_on { failover_name(&own) } else { own };
            json!({
                "match": {"prefix": "/", "headers": [{"name": VERSION_HEADER, "string_match": {"exact": version}}]},
                "route": {"cluster": cluster, "timeout": "0s", "retry_policy": failover.retry_policy(1)},
            })
        };
        let around = Surroundings {
            routes: vec![route("v1"), route("v2"), native_route()],
            ..Surroundings::failing_over(failover, 1)
        };
        let backends = ["v1", NATIVE].map(Backend::of);
        let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
        let _log = canary.envoy.show_log_on_panic();
        let get = Request::new("reviews", "/");
        let outcome = Load::start(canary.address, Protocol::Http1, &get, CONNECTIONS, REQUESTS).finish().await;
        let row = format!("mode: version {row}");
        if goes_on {
            assert_none_lost(&row, &outcome)
        } else {
            assert_some_lost(&row, &outcome)
        }
        if goes_on {
            let served = client::send(canary.address, Protocol::Http1, &get.header(TEST_ID, "served")).await;
            assert_eq!(served.served_by, "v1");
            let seen = &canary.upstream("v1").recorded("served")[0];
            assert_eq!(seen.texts(VERSION_HEADER), ["v1"], "the upstream gets the name of its own version");
        }
    }
}
