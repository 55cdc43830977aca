//! The steps of the course that need a call chain: servers that `canaryctl echo` starts, behind clusters that
//! `canaryctl render bootstrap` makes of the DestinationRules.

use std::{collections::BTreeMap, time::Instant};

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, NATIVE},
    canaryctl::{Server, rendered_clusters},
    client::{self, Protocol, Request},
    example::{self, Example},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Subject,
    faults::assert_waited,
    steering::{PROTOCOLS, TEST_ID},
};

/// A proxy that runs an example, with an echo server for each `SERVICE[/VERSION]`, and what it calls through the proxy.
async fn start(subject: &Subject, name: &str, servers: &[(&str, &[&str])]) -> (Canary, Vec<Server>) {
    let native = Backend { name: NATIVE.to_owned(), clusters: vec![NATIVE.to_owned()] };
    let surroundings = Surroundings::default();
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &json!({}), &[native]).await;
    let echoes: Vec<_> = servers.iter().map(|(version, calls)| Server::echo(version, calls, canary.address)).collect();
    let addresses: BTreeMap<_, _> =
        servers.iter().zip(&echoes).map(|((version, _), echo)| (*version, echo.address())).collect();
    let clusters = rendered_clusters(&example::path(name).join("config.yaml"), &addresses);
    let before = canary.envoy.stat("cluster_manager.active_clusters").await;
    canary.add_clusters(&clusters);
    canary.envoy.wait_for_stat("cluster_manager.active_clusters", before + clusters.len() as u64).await;
    canary.take(&Example::read(name).document).await;
    (canary, echoes)
}

pub(crate) async fn the_chain_fails_for_luffy_and_is_slow_for_others(subject: &Subject) {
    let servers: [(&str, &[&str]); 4] = [
        ("productpage", &["http://reviews:9080/reviews/0"]),
        ("reviews/v2", &["http://ratings:9080/ratings/0"]),
        ("reviews/v3", &["http://ratings:9080/ratings/0"]),
        ("ratings", &[]),
    ];
    let (canary, _echoes) = start(subject, "course/07-timeout-and-delay", &servers).await;
    for (user, millis, status, version) in [("luffy", 1000, 504, None), ("zoro", 2000, 200, Some("v3"))] {
        let request = Request::new("productpage:9080", "/productpage").header("end-user", user);
        let begin = Instant::now();
        let answer = client::send(canary.address, Protocol::Http1, &request).await;
        let took = begin.elapsed();
        assert_eq!(answer.status, 200, "{user}: the page itself is there: {answer:?}");
        assert_waited(took, millis, user);
        let page: Value = serde_json::from_str(&answer.body).expect("an echo server answers JSON");
        let reviews = &page["calls"][0];
        assert_eq!(reviews["status"], status, "{user}: reviews as the page sees them: {page:#}");
        if let Some(version) = version {
            assert_eq!(reviews["body"]["version"], version, "{user}: {page:#}");
            let ratings = &reviews["body"]["calls"][0];
            assert_eq!((&ratings["status"], &ratings["body"]["service"]), (&json!(200), &json!("ratings")), "{page:#}");
        }
    }
}

pub(crate) async fn the_circuit_breaks(subject: &Subject) {
    const REQUESTS: usize = 10;
    let (canary, _echoes) = start(subject, "course/09-circuit-breaking", &[("httpbin/v1", &[])]).await;
    for number in 0..5 {
        for protocol in PROTOCOLS {
            let answer = client::send(canary.address, protocol, &Request::new("httpbin:8000", "/get")).await;
            assert_eq!(answer.status, 200, "one at a time, {protocol:?} number {number}: {answer:?}");
        }
    }
    let mut clients = JoinSet::new();
    for number in 0..REQUESTS {
        let (address, id) = (canary.address, format!("at once, number {number}"));
        let request = Request::new("httpbin:8000", "/delay/3s").header(TEST_ID, &id);
        clients.spawn(async move { (id, client::send(address, Protocol::Http1, &request).await.status) });
    }
    let answers = clients.join_all().await;
    let served = answers.iter().filter(|(_, status)| *status == 200).count();
    // One on the connection, and one that waits for it. The counts of the worker threads differ for a moment.
    assert!((1..=4).contains(&served), "{served} of {REQUESTS} at once were served: {answers:?}");
    for (id, _) in answers.iter().filter(|(_, status)| *status != 200) {
        let entry = canary.access_log(id).await;
        assert_eq!((&entry["code"], &entry["flags"]), (&json!(503), &json!("UO")), "{id}: {entry}");
    }
}
