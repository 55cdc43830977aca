//! The examples through a real proxy: every row that does not pin chance.

use e2e::{
    bootstrap::{SHADOW, Surroundings},
    canary::{Backend, Canary, Delivery, NATIVE},
    client::{self, Answer, Protocol},
    example::{self, Example, Row},
    load::Load,
    proportion::{ALPHA, agrees},
    upstream::{Recorded, Upstream},
    wait,
};
use serde_json::{Map, Value, json};

use crate::{
    Subject,
    faults::assert_went_on,
    steering::{PROTOCOLS, TEST_ID},
};

const REQUESTS: u64 = 2000;
const CONNECTIONS: u64 = 4;

pub(crate) async fn answer_as_their_tables_say(subject: &Subject, group: &str) {
    let examples = example::of_group(group);
    let mut backends: Vec<Backend> = examples.iter().flat_map(Example::backends).collect();
    backends.sort();
    backends.dedup();
    let surroundings = Surroundings::default();
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &json!({}), &backends).await;
    for example in &examples {
        check_example(&canary, example).await;
    }
}

async fn check_example(canary: &Canary, example: &Example) {
    // Draws cannot be set in a running proxy. The row with shares covers them.
    let rows: Vec<_> = example.rows.iter().filter(|row| row.question.draws.is_none()).collect();
    assert!(!rows.is_empty(), "{}: no request without draws", example.name);
    // The caller and the gateway are settings of the proxy, which is configured for each caller.
    let mut callers: Vec<Value> = rows.iter().map(|row| row.seen_by(example)).collect();
    callers.sort_by_key(Value::to_string);
    callers.dedup();
    for document in callers {
        canary.take(&document).await;
        for row in rows.iter().filter(|row| row.seen_by(example) == document) {
            match row.expect.get("shares") {
                Some(shares) => check_shares(canary, row, shares, &format!("{}: {}", example.name, row.name())).await,
                None => check_both(canary, row, &example.name).await,
            }
        }
    }
}

async fn check_both(canary: &Canary, row: &Row, example: &str) {
    let ids = PROTOCOLS.map(|protocol| format!("{example}: {protocol:?}: {}", row.name()));
    let [http1, http2] = PROTOCOLS;
    tokio::join!(check(canary, http1, row, &ids[0]), check(canary, http2, row, &ids[1]));
}

async fn check_shares(canary: &Canary, row: &Row, shares: &Value, id: &str) {
    let weights = shares.as_object().expect("shares are an object");
    let sum: f64 = weights.values().filter_map(Value::as_f64).sum();
    let outcome = Load::start(canary.address, Protocol::Http1, &row.request(), CONNECTIONS, REQUESTS).finish().await;
    for (key, weight) in weights {
        let share = weight.as_f64().expect("a weight") / sum;
        let hits = match key.parse() {
            Ok(status) => outcome.refused(status),
            Err(_) => outcome.served(upstream(canary, row, Some(key)).name()),
        };
        assert!(agrees(hits, REQUESTS, share, ALPHA), "{id}: {key}: {hits} of {REQUESTS} for a share of {share}");
    }
}

async fn check(canary: &Canary, protocol: Protocol, row: &Row, id: &str) {
    let answer = client::send(canary.address, protocol, &row.request().header(TEST_ID, id)).await;
    let reply = row.expect.get("localReply");
    let status = row.expect.get("status").or(reply.map(|reply| &reply["status"])).unwrap_or(&json!(200)).clone();
    assert_eq!(json!(answer.status), status, "{id}: {answer:?}");
    if let Some(delay) = row.expect.get("delayMs").and_then(Value::as_u64) {
        assert_went_on(&canary.access_log(id).await, delay, id);
    }
    if let Some(reply) = reply {
        check_reply(&answer, reply, id);
    }
    let untouched = row.expect.get("untouched") == Some(&json!(true));
    let served_by = match row.text("service") {
        _ if untouched => Some(canary.upstream(NATIVE)),
        Some(_) => Some(upstream(canary, row, row.text("version"))),
        None => None,
    };
    if let Some(served_by) = served_by {
        check_requests(served_by, row, &answer, id);
    }
    let mirrors = row.expect.get("mirrors").and_then(Value::as_array);
    let mirrors = mirrors.into_iter().flatten().filter_map(|mirror| mirror["cluster"].as_str());
    let mirrors: Vec<_> = mirrors.map(|cluster| canary.upstream_of(cluster)).collect();
    for mirror in &mirrors {
        check_copy(mirror, row, id).await;
    }
    let expected: Vec<_> = served_by.into_iter().chain(mirrors).map(Upstream::name).collect();
    for other in canary.upstreams().filter(|upstream| !expected.contains(&upstream.name())) {
        assert_eq!(other.recorded(id).len(), 0, "{id}: requests that {} got", other.name());
    }
}

fn check_reply(answer: &Answer, reply: &Value, id: &str) {
    assert_eq!(json!(answer.body), reply["body"], "{id}: body");
    for header in reply["headers"].as_array().into_iter().flatten() {
        let name = header[0].as_str().expect("a header's name");
        assert_eq!(json!(answer.values(name)), json!([header[1]]), "{id}: {name}");
    }
}

/// Checks what the upstream got. It gets a request that it fails once for each try.
fn check_requests(served_by: &Upstream, row: &Row, answer: &Answer, id: &str) {
    if answer.status < 500 {
        assert_eq!(answer.served_by, served_by.name(), "{id}");
    }
    let retried = answer.status >= 500 && !answer.served_by.is_empty();
    let retries = row.expect.get("retry").and_then(|retry| retry["attempts"].as_u64()).filter(|_| retried);
    let recorded = served_by.recorded(id);
    assert_eq!(recorded.len() as u64, 1 + retries.unwrap_or(0), "{id}: requests that {} got", served_by.name());
    for recorded in recorded {
        check_recorded(&recorded, row, id);
        assert_eq!(recorded.values(SHADOW).len(), 0, "{id}: the original is marked as a copy");
    }
}

async fn check_copy(mirror: &Upstream, row: &Row, id: &str) {
    let copies = wait::until(&format!("{id}: a copy at {}", mirror.name()), async || {
        Some(mirror.recorded(id)).filter(|copies| !copies.is_empty())
    })
    .await;
    assert_eq!(copies.len(), 1, "{id}: copies at {}", mirror.name());
    check_recorded(&copies[0], row, id);
    assert_eq!(copies[0].texts(SHADOW), ["true"], "{id}: the copy is not marked");
}

fn check_recorded(recorded: &Recorded, row: &Row, id: &str) {
    let got: Map<String, Value> =
        [("method", &recorded.method), ("path", &recorded.path), ("authority", &recorded.authority)]
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .into_iter()
            .collect();
    for (key, value) in got {
        assert_eq!(&value, row.expect.get(&key).unwrap_or(&value), "{id}: {key} at the upstream");
    }
}

/// The upstream of the row's service in a version.
fn upstream<'c>(canary: &'c Canary, row: &Row, version: Option<&str>) -> &'c Upstream {
    let service = row.text("service").expect("a row with a version names its service");
    let is_it = |upstream: &&Upstream| {
        let (host, subset) = match upstream.name().split_once('/') {
            Some((host, subset)) => (host, Some(subset)),
            None => (upstream.name(), None),
        };
        host.split('.').next() == Some(service) && subset == version && upstream.name() != NATIVE
    };
    let found = canary.upstreams().find(is_it);
    found.unwrap_or_else(|| panic!("{}: no upstream for {service} {version:?}", row.name()))
}
