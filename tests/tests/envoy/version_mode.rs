//! `mode: version`: the filter picks the version, native routes do the rest, and no action is applied twice.

use e2e::{
    bootstrap::{Surroundings, native_route},
    canary::{Backend, Canary, Delivery, UPSTREAMS, cluster_name},
    client::{self, Protocol, Request},
    load::Load,
    proportion::{ALPHA, agrees},
};
use serde_json::{Value, json};

use crate::{
    Subject,
    documents::{document, split, to},
    steering::{PROTOCOLS, TEST_ID, control_headers},
};

const REQUESTS: u64 = 1000;

/// The rules for the filter, and for the native routes.
fn rules() -> Value {
    let mut decorated = json!({
        "match": [{"uri": {"prefix": "/a/"}}],
        "headers": {"request": {"add": {"x-add": "once"}}, "response": {"add": {"x-add": "once"}}},
        "rewrite": {"uri": "/a/b/"},
        "mirror": {"host": "reviews", "subset": "v3"},
        "route": split(&[("v1", 50), ("v2", 50)]),
    });
    decorated["retries"] = json!({"attempts": 1, "retryOn": "5xx"});
    json!([
        decorated,
        {
            "match": [{"uri": {"prefix": "/abort"}}],
            "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 50}}},
            "route": to("v2"),
        },
        {"match": [{"uri": {"prefix": "/moved"}}], "redirect": {"uri": "/new"}},
        {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")},
        {"match": [{"uri": {"prefix": "/plain"}}], "route": to("v1")},
    ])
}

/// The same rules as Envoy routes. Each has the rule's own match and a match of the version.
fn routes() -> Vec<Value> {
    let version = |version: &str| json!([{"name": "x-canary-version", "string_match": {"exact": version}}]);
    let add = json!([{"header": {"key": "x-add", "value": "once"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}]);
    let decorated = |subset: &str| {
        json!({
            "match": {"prefix": "/a/", "headers": version(subset)},
            "route": {"cluster": cluster_name(subset), "prefix_rewrite": "/a/b/",
                      "retry_policy": {"retry_on": "5xx", "num_retries": 1},
                      "request_mirror_policies": [{"cluster": cluster_name("v3")}]},
            "request_headers_to_add": add,
            "response_headers_to_add": add,
        })
    };
    let abort = json!({
        "match": {"prefix": "/abort", "headers": version("v2")},
        "route": {"cluster": cluster_name("v2")},
        "typed_per_filter_config": {"envoy.filters.http.fault": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": {"http_status": 500, "percentage": {"numerator": 50}},
        }},
    });
    let plain = |subset: &str| json!({"match": {"prefix": "/", "headers": version(subset)}, "route": {"cluster": cluster_name(subset)}});
    let moved = json!({"match": {"prefix": "/moved"}, "redirect": {"path_redirect": "/new"}});
    vec![decorated("v1"), decorated("v2"), abort, moved, plain("v1"), plain("v2"), native_route()]
}

async fn start(subject: &Subject) -> Canary {
    let fault = json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"},
    });
    let surroundings = Surroundings { after: vec![fault], routes: routes(), ..Surroundings::default() };
    let mut document = document(&[("shop.example", rules())]);
    document["mode"] = json!("version");
    Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &UPSTREAMS.map(Backend::of)).await
}

pub(crate) async fn does_nothing_twice(subject: &Subject) {
    let canary = start(subject).await;
    for protocol in PROTOCOLS {
        let id = format!("{protocol:?} decorated");
        let request = Request::new("shop.example", "/a/1").header(TEST_ID, &id).header("x-canary-version", "v3");
        let answer = client::send(canary.address, protocol, &request).await;
        assert_eq!((answer.status, answer.values("x-add")), (200, vec!["once".to_owned()]), "{id}: {answer:?}");
        let recorded = canary.upstream(&answer.served_by).recorded(&id);
        assert_eq!(recorded.len(), 1, "{id}");
        assert_eq!(
            (recorded[0].path.as_str(), recorded[0].texts("x-add")),
            ("/a/b/1", vec!["once".to_owned()]),
            "{id}"
        );
        let version = [("x-canary-version".to_owned(), answer.served_by.clone())];
        assert_eq!(control_headers(&recorded[0]), version, "{id}: the version header and no other");

        for (name, path, headers, status, served_by) in [
            ("a rule's version", "/plain", vec![("x-canary-version", "v2"), ("x-canary-cluster", "native")], 200, "v1"),
            ("by header", "/x", vec![("end-user", "jason")], 200, "v2"),
            ("a redirect is the native route's", "/moved", vec![], 301, ""),
            ("no rule is the native route's", "/x", vec![("x-canary-version", "v2")], 200, "native"),
        ] {
            let id = format!("{protocol:?} {name}");
            let request =
                headers.iter().fold(Request::new("shop.example", path), |r, (name, value)| r.header(name, value));
            let answer = client::send(canary.address, protocol, &request.header(TEST_ID, &id)).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (status, served_by), "{id}: {answer:?}");
        }
        let failing = format!("{protocol:?} retried");
        let request = Request::new("shop.example", "/a/status/503").header(TEST_ID, &failing);
        client::send(canary.address, protocol, &request).await;
        let tries: usize = ["v1", "v2"].iter().map(|name| canary.upstream(name).recorded(&failing).len()).sum();
        assert_eq!(tries, 2, "{failing}: one retry");
    }
}

pub(crate) async fn keeps_shares(subject: &Subject) {
    let canary = start(subject).await;
    let load =
        |path: &str| Load::start(canary.address, Protocol::Http1, &Request::new("shop.example", path), 4, REQUESTS);
    let aborted = load("/abort").finish().await.refused(500);
    assert!(agrees(aborted, REQUESTS, 0.5, ALPHA), "{aborted} of {REQUESTS} aborted for a share of 0.5");
    let served = load("/a/1").finish().await.served("v1");
    assert!(agrees(served, REQUESTS, 0.5, ALPHA), "{served} of {REQUESTS} at v1 for a share of 0.5");
}
