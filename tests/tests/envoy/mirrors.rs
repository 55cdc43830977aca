//! Mirrored requests.

use std::time::Duration;

use e2e::{
    bootstrap::SHADOW,
    canary::{Canary, Delivery, UPSTREAMS, cluster_name},
    client::{self, Protocol, Request},
    load::Load,
    proportion::{ALPHA, agrees},
    upstream::Recorded,
    wait,
};
use serde_json::{Value, json};

use crate::{
    Subject,
    documents::{document, to},
    steering::{PROTOCOLS, TEST_ID, control_headers},
};

const REQUESTS: u64 = 1000;
const CONNECTIONS: u64 = 4;

fn mirror(subset: &str, percent: u32) -> Value {
    json!({"destination": {"host": "reviews", "subset": subset}, "percentage": {"value": percent}})
}

fn rules() -> Vec<(&'static str, Value)> {
    let mirrored = |mirrors: Value| json!([{"mirrors": mirrors, "route": to("v1")}]);
    let none_of_three = [mirror("v2", 0), mirror("v3", 100), mirror("v9", 100)];
    vec![
        ("all.example", mirrored(json!([mirror("v2", 100)]))),
        ("fifth.example", mirrored(json!([mirror("v2", 20)]))),
        ("three.example", mirrored(json!([mirror("v2", 100), mirror("v3", 100), mirror("v2", 100)]))),
        ("third.example", mirrored(json!(none_of_three))),
        ("plain.example", json!([{"route": to("v1")}])),
        (
            "decorated.example",
            json!([{
                "mirror": {"host": "reviews", "subset": "v2"},
                "rewrite": {"uri": "/new", "authority": "inner.example"},
                "headers": {"request": {"set": {"x-set": "rule"}}},
                "route": to("v1"),
            }]),
        ),
        (
            "single.example",
            json!([{"mirror": {"host": "reviews", "subset": "v2"}, "mirrorPercent": 0, "route": to("v1")}]),
        ),
    ]
}

async fn start(subject: &Subject) -> Canary {
    Canary::start(&subject.binary, Delivery::Ecds, &document(&rules()), &UPSTREAMS).await
}

pub(crate) async fn gets_its_share(subject: &Subject) {
    let canary = start(subject).await;
    let mut before = 0;
    for (host, share) in [("all.example", 1.0), ("fifth.example", 0.2)] {
        let outcome = Load::start(canary.address, Protocol::Http2, &Request::new(host, "/"), CONNECTIONS, REQUESTS);
        let outcome = outcome.finish().await;
        assert_eq!((outcome.failures.len(), outcome.served("v1")), (0, REQUESTS), "{host}");
        let copies = requests_when_idle(&canary, "v2").await - before;
        before += copies;
        assert!(agrees(copies, REQUESTS, share, ALPHA), "{host}: {copies} of {REQUESTS} for a share of {share}");
    }
}

/// The number of requests that an upstream got, after its cluster has none in flight or pending.
async fn requests_when_idle(canary: &Canary, upstream: &str) -> u64 {
    let cluster = cluster_name(upstream);
    let total = format!("cluster.{cluster}.upstream_rq_total");
    let completed = format!("cluster.{cluster}.upstream_rq_completed");
    wait::until("every copy is answered", async || {
        let (total, completed) = (canary.envoy.stat(&total).await, canary.envoy.stat(&completed).await);
        let count = canary.upstream(upstream).count();
        (total == completed && completed == count).then_some(count)
    })
    .await
}

pub(crate) async fn goes_to_each_of_three(subject: &Subject) {
    let canary = start(subject).await;
    for protocol in PROTOCOLS {
        for (host, expected) in [
            ("three.example", [1, 2, 1]),
            ("third.example", [1, 0, 1]),
            ("single.example", [1, 0, 0]),
            ("plain.example", [1, 0, 0]),
        ] {
            let id = format!("{protocol:?} {host}");
            let request = Request::new(host, "/a?x=1").method("POST").body("the whole body").header(TEST_ID, &id);
            let answer = client::send(canary.address, protocol, &request).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{id}");
            for (upstream, count) in ["v1", "v2", "v3"].into_iter().zip(expected) {
                for request in recorded(&canary, upstream, &id, count).await {
                    assert_eq!(
                        (request.method.as_str(), request.path.as_str()),
                        ("POST", "/a?x=1"),
                        "{id}: {upstream}"
                    );
                    assert_eq!(request.body, "the whole body", "{id}: body at {upstream}");
                }
            }
        }
    }
}

/// The copies of a request that an upstream got. Waits until there are `count`.
async fn recorded(canary: &Canary, upstream: &str, id: &str, count: usize) -> Vec<Recorded> {
    wait::until(&format!("{id}: {count} request(s) at {upstream}"), async || {
        Some(canary.upstream(upstream).recorded(id)).filter(|requests| requests.len() >= count)
    })
    .await;
    requests_when_idle(canary, upstream).await;
    let requests = canary.upstream(upstream).recorded(id);
    assert_eq!(requests.len(), count, "{id}: requests at {upstream}");
    requests
}

pub(crate) async fn copies_are_marked_and_say_nothing_of_the_filter(subject: &Subject) {
    let canary = start(subject).await;
    let mark = [(SHADOW.to_owned(), "true".to_owned())];
    for protocol in PROTOCOLS {
        for (host, path, authority) in
            [("three.example", "/", "three.example"), ("decorated.example", "/new", "inner.example")]
        {
            let id = format!("{protocol:?} {host}");
            let request =
                ["x-canary-mirror", "x-canary-mirror-3", "x-canary-version", "x-canary-cluster", "x-canary-host"]
                    .iter()
                    .fold(Request::new(host, "/"), |request, name| request.header(name, cluster_name("v3")));
            let answer = client::send(canary.address, protocol, &request.header(TEST_ID, &id)).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{id}");
            let copies = recorded(&canary, "v2", &id, if host == "three.example" { 2 } else { 1 }).await;
            for copy in &copies {
                assert_eq!(control_headers(copy), mark, "{id}: control headers of a copy");
                assert_eq!((copy.path.as_str(), copy.authority.as_str()), (path, authority), "{id}: a copy");
            }
            let original = recorded(&canary, "v1", &id, 1).await.remove(0);
            assert_eq!(original.values(SHADOW).len(), 0, "{id}: the original is marked");
            assert_eq!(original.texts("x-canary-version"), ["v1"], "{id}");
            assert_eq!((original.path.as_str(), original.authority.as_str()), (path, authority), "{id}: the original");
            let set: &[&str] = if host == "decorated.example" { &["rule"] } else { &[] };
            assert!([&original, &copies[0]].iter().all(|request| request.texts("x-set") == set), "{id}: x-set");
        }
    }
}

pub(crate) async fn that_hangs_slows_nobody(subject: &Subject) {
    const ROUNDS: u64 = 9;
    const REQUESTS: u64 = 100;
    let canary = start(subject).await;
    canary.upstream("v2").hang(true);
    let load = |host: &str| Load::start(canary.address, Protocol::Http2, &Request::new(host, "/"), 2, REQUESTS);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (mirrored, plain) = (load("all.example"), load("plain.example"));
        let (mirrored, plain) = (mirrored.finish().await, plain.finish().await);
        for outcome in [&mirrored, &plain] {
            assert_eq!((outcome.failures.len(), outcome.served("v1")), (0, REQUESTS));
        }
        rounds.push((mirrored.p99(), plain.p99()));
    }
    let active = format!("cluster.{}.upstream_rq_active", cluster_name("v2"));
    wait::until("every copy hangs", async || (canary.envoy.stat(&active).await == ROUNDS * REQUESTS).then_some(()))
        .await;
    println!("{}: p99 with a mirror that hangs, and without: {rounds:?}", subject.binary.version);
    // A request that waits for its mirror would never end. A slow mirror affects every round, and a busy machine only some.
    let is_alike = |(mirrored, plain): &(Duration, Duration)| *mirrored < *plain * 2 + Duration::from_millis(5);
    assert!(rounds.iter().any(is_alike), "p99 with a mirror that hangs, and without: {rounds:?}");
}
