//! The examples, asked from outside: the containers serve the versions that they are, `rules` the others.

use std::time::{Duration, Instant};

use e2e::{
    client::{self, Answer, Protocol},
    example::{self, Row},
    proportion::{ALPHA, agrees},
    wait,
};
use serde_json::{Value, json};

use crate::{
    project::Project,
    traffic::{Traffic, echoed},
};

/// Rows that come out otherwise in a real call chain, with the status: these reviews ask for ratings, which are late.
const IN_A_CHAIN: [(&str, &str, u16); 1] = [("course/07-timeout-and-delay", "reviews in time for luffy", 504)];
const REQUESTS: u64 = 1000;
const CLIENTS: usize = 4;

pub(crate) async fn answer_as_their_tables_say(project: &Project, group: &str) {
    for example in example::of_group(group) {
        // A draw cannot be pinned in a running proxy; the row with the shares is about all of them.
        let rows: Vec<_> = example.rows.iter().filter(|row| row.question.draws.is_none()).collect();
        assert!(!rows.is_empty(), "{}: no request without draws", example.name);
        for row in rows {
            project.take(&row.seen_by(&example)).await;
            let name = format!("{}: {}", example.name, row.name());
            match row.expect.get("shares") {
                Some(shares) => check_shares(project, row, shares, &name).await,
                None => match IN_A_CHAIN.iter().find(|(of, named, _)| *of == example.name && *named == row.name()) {
                    Some((_, _, status)) => assert_eq!(project.send(&row.request()).await.status, *status, "{name}"),
                    None => check(project, row, &name).await,
                },
            }
        }
    }
}

async fn check_shares(project: &Project, row: &Row, shares: &Value, name: &str) {
    let weights = shares.as_object().expect("shares are an object");
    let sum: f64 = weights.values().filter_map(Value::as_f64).sum();
    let counts = Traffic::up_to(project.listener, &row.request(), CLIENTS, REQUESTS).finish().await;
    let service = row.text("service").expect("a row with shares names its service");
    for (key, weight) in weights {
        let share = weight.as_f64().expect("a weight") / sum;
        let is_it = |outcome: &str| match key.parse::<u16>() {
            Ok(_) => outcome.starts_with(&format!("{key} ")),
            Err(_) => outcome == format!("{service}/{key}"),
        };
        let hits = counts.iter().filter(|(outcome, _)| is_it(outcome)).map(|(_, count)| count).sum();
        assert!(agrees(hits, REQUESTS, share, ALPHA), "{name}: {key}: {hits} of {REQUESTS} for {share}: {counts:?}");
    }
}

async fn check(project: &Project, row: &Row, name: &str) {
    let before = copies(project, row);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let begin = Instant::now();
        let answer = client::send(project.listener, protocol, &row.request()).await;
        check_answer(row, &answer, &format!("{name}: {protocol:?}"));
        if let Some(delay) = row.expect.get("delayMs").and_then(Value::as_u64) {
            assert!(begin.elapsed() >= Duration::from_millis(delay), "{name}: {:?}", begin.elapsed());
        }
    }
    // One for each request, at each of its mirrors.
    wait::until(&format!("{name}: copies, {before} before"), async || {
        (copies(project, row) == before + 2 * mirrors(row).count() as u64).then_some(())
    })
    .await;
}

fn check_answer(row: &Row, answer: &Answer, name: &str) {
    let reply = row.expect.get("localReply");
    let status = row.expect.get("status").or(reply.map(|reply| &reply["status"])).unwrap_or(&json!(200)).clone();
    assert_eq!(json!(answer.status), status, "{name}: {answer:?}");
    if let Some(reply) = reply {
        assert_eq!(json!(answer.body), reply["body"], "{name}");
    }
    let echo = echoed(answer);
    let untouched = row.expect.get("untouched") == Some(&json!(true));
    let served_by = match row.text("service") {
        _ if untouched => Some(("native", "default")),
        // The response of a server that is too late, or fails too often, is not used.
        Some(service) if reply.is_none() && (answer.status < 500 || !echo.is_null()) => {
            Some((service, row.text("version").unwrap_or("default")))
        }
        _ => None,
    };
    if let Some((service, version)) = served_by {
        assert_eq!((&echo["service"], &echo["version"]), (&json!(service), &json!(version)), "{name}: {answer:?}");
    }
    for key in ["method", "path", "authority"] {
        let seen = &echo[key];
        assert!(seen.is_null() || row.expect.get(key).is_none_or(|expected| expected == seen), "{name}: {key}: {seen}");
    }
}

/// The containers that are to get copies.
fn mirrors(row: &Row) -> impl Iterator<Item = String> {
    let mirrors = row.expect.get("mirrors").and_then(Value::as_array).into_iter().flatten();
    mirrors.filter_map(|mirror| {
        // outbound|8000|v2|httpbin.default.svc.cluster.local
        let mut parts = mirror["cluster"].as_str()?.split('|').skip(2);
        let (subset, host) = (parts.next()?, parts.next()?);
        Some(format!("{}-{subset}", host.split('.').next()?))
    })
}

/// How many they say that they have got so far.
fn copies(project: &Project, row: &Row) -> u64 {
    mirrors(row).map(|container| project.recorded(&container, "(mirrored)")).sum()
}
