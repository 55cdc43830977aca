//! The board's API.

use e2e::{
    binaries::EnvoyBinary,
    canary::{Canary, Delivery},
    canaryctl::Server,
    client::{self, Protocol, Request},
    wait,
};
use serde_json::{Value, json};

use crate::{document, relay::Relay, reviews, serve, start, state, version};

/// Whether the board has counted this many requests of reviews in all, with their durations.
fn has_counted(state: &Value, requests: u64) -> bool {
    let versions = ["v1", "v2"].map(|name| version(state, name));
    versions.iter().filter_map(|version| version["total"]["requests"].as_u64()).sum::<u64>() >= requests
        && versions.iter().all(|version| version["latency"].is_array())
}

pub(crate) async fn counts_are_what_the_upstreams_recorded(binary: &EnvoyBinary) {
    let canary = start(binary, Delivery::Ecds, &document(60, 40)).await;
    let board = Server::board(canary.envoy.admin_address(), &[]);
    state(&board, "the filter", |state| state["envoy"]["condition"] == "answers").await;
    canary.upstream("v2").fail_every(4);
    serve(&canary, reviews(), 400).await;
    serve(&canary, reviews().header("want", "v3"), 40).await;
    let state = state(&board, "440 requests", |state| has_counted(state, 440)).await;
    let mut plotted = 0;
    for name in ["v1", "v2"] {
        let (shown, recorded) = (version(&state, name), canary.upstream(name).count());
        assert_eq!([&shown["requests"], &shown["total"]["requests"]], [recorded, recorded], "{name}");
        let classes = shown["total"]["classes"].as_object().expect("classes");
        assert_eq!(classes.values().filter_map(Value::as_u64).sum::<u64>(), recorded, "{name}: {classes:?}");
        let share = shown["share"].as_f64().expect("a share");
        assert!((share - recorded as f64 / 440.0).abs() < 1e-9, "{name}: {share}");
        plotted += shown["plot"].as_array().expect("a plot").iter().filter_map(Value::as_u64).sum::<u64>();
    }
    assert_eq!(plotted, 440);
    assert_eq!(version(&state, "v1")["errors"], 0.0);
    let failed = canary.upstream("v2").count() / 4;
    assert_eq!(version(&state, "v2")["classes"]["5xx"], failed, "every fourth");
    let reasons = &state["view"]["services"][0]["reasons"];
    assert_eq!(*reasons, json!({"version-header": 40, "weight": 400}));
    let fallbacks = state["view"]["events"]["fallbacks"].as_array().expect("events");
    let given_way = fallbacks.iter().filter(|event| event["labels"]["from"] == "v3");
    assert_eq!(given_way.filter_map(|event| event["count"].as_u64()).sum::<u64>(), 40, "{fallbacks:?}");
    assert_eq!(state["view"]["configurations"][0]["plugin"], "canary");
}

pub(crate) async fn outages_are_told_and_rates_survive_them(binary: &EnvoyBinary) {
    let relay = Relay::start().await;
    let board = Server::board(relay.address, &[]);
    let silent = state(&board, "nobody there", |state| state["envoy"]["condition"] == "silent").await;
    assert!(silent["envoy"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{silent}");
    let native = Canary::start(binary, Delivery::Native, &json!([]), &["v1"]).await;
    relay.lead_to(Some(native.envoy.admin_address()));
    let bare =
        state(&board, "an Envoy without the filter", |state| state["envoy"]["condition"] == "without-filter").await;
    assert_eq!(bare["view"]["services"], json!([]));
    let mut sent = 0;
    for (round, requests) in [(0, 30), (1, 20), (2, 40)] {
        let canary = start(binary, Delivery::Ecds, &document(50, 50)).await;
        relay.lead_to(Some(canary.envoy.admin_address()));
        state(&board, "the filter", |state| state["envoy"]["condition"] == "answers").await;
        serve(&canary, reviews(), requests).await;
        sent += requests;
        let is_all = |state: &Value| ["v1", "v2"].map(|name| plotted(state, name)).iter().sum::<u64>() == sent;
        let state_now = state(&board, &format!("round {round}: {sent} requests in the plot"), is_all).await;
        for name in ["v1", "v2"] {
            assert_eq!(version(&state_now, name)["total"]["requests"], canary.upstream(name).count(), "{name}");
        }
        relay.lead_to(None);
        drop(canary);
        let silent = state(&board, "silence", |state| state["envoy"]["condition"] == "silent").await;
        assert!(silent["envoy"]["since"].as_u64() > state_now["envoy"]["since"].as_u64());
    }
}

fn plotted(state: &Value, name: &str) -> u64 {
    version(state, name)["plot"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum()
}

async fn explain(board: &Server, question: &Value) -> (u16, Value) {
    let post = Request::new("localhost", "/api/explain").method("POST");
    let post = post.header("content-type", "application/json").body(question.to_string());
    let answer = client::send(board.address(), Protocol::Http1, &post).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.body)))
}

pub(crate) async fn requests_are_explained_by_what_is_loaded(binary: &EnvoyBinary) {
    let question = json!({"method": "GET", "url": "http://reviews/1", "headers": ["x: y"]});
    let says =
        |answers: &Value, part: &str| answers["answers"][0]["text"].as_str().is_some_and(|text| text.contains(part));
    for delivery in [Delivery::Ecds, Delivery::Lds] {
        let canary = start(binary, delivery, &document(90, 10)).await;
        let board = Server::board(canary.envoy.admin_address(), &[]);
        let answers = wait::until("an explanation", async || {
            let (status, answers) = explain(&board, &question).await;
            (status == 200).then_some(answers)
        })
        .await;
        assert!(says(&answers, "90 % to v1 of reviews") && says(&answers, "(split)"), "{delivery:?}: {answers}");
        assert_eq!(answers["answers"][0]["answer"]["outcome"], "forward");
        canary.configure(&document(30, 70));
        wait::until("the explanation follows", async || {
            says(&explain(&board, &question).await.1, "70 % to v2").then_some(())
        })
        .await;
        let rejected = match delivery {
            Delivery::Ecds => "extension_config_discovery.http_filter.canary.update_rejected",
            _ => "listener_manager.lds.update_rejected",
        };
        canary.configure(&json!({"virtualServices": 1}));
        canary.envoy.wait_for_stat(rejected, 1).await;
        let (_, answers) = explain(&board, &question).await;
        assert!(says(&answers, "70 % to v2"), "{delivery:?}: a refused document explains nothing: {answers}");
        let (status, answers) = explain(&board, &json!({"method": "GET", "url": "/1"})).await;
        assert_eq!(status, 400);
        assert!(answers["error"].as_str().is_some_and(|error| error.contains("an absolute URL")), "{answers}");
    }
}

pub(crate) async fn strangers_are_not_answered(binary: &EnvoyBinary) {
    let canary = start(binary, Delivery::Ecds, &document(90, 10)).await;
    let board = Server::board(canary.envoy.admin_address(), &["--allow-host", "board.test"]);
    let json = |request: Request| request.header("content-type", "application/json");
    for (row, request, expected) in [
        ("the page", Request::new("localhost:1", "/"), 200),
        ("by its address", Request::new(&board.address().to_string(), "/api/state"), 200),
        ("by its name", Request::new("board.test", "/board.js"), 200),
        ("by a stranger's name", Request::new("evil.test", "/api/state"), 421),
        ("by no name", Request::new("", "/api/state"), 421),
        ("an unknown window", Request::new("localhost", "/api/state?window=61"), 400),
        ("an unknown path", Request::new("localhost", "/etc/passwd"), 404),
        ("a form of a stranger", Request::new("localhost", "/api/explain").method("POST").body("{}"), 415),
        ("a question in the URL", Request::new("localhost", "/api/explain"), 405),
        ("what would change something", Request::new("localhost", "/api/state").method("POST"), 405),
        (
            "a question of a megabyte",
            json(Request::new("localhost", "/api/explain").method("POST")).body("x".repeat(1 << 20)),
            400,
        ),
        ("a broken question", json(Request::new("localhost", "/api/explain").method("POST")).body("{"), 400),
    ] {
        let answer = client::send(board.address(), Protocol::Http1, &request).await;
        assert_eq!(answer.status, expected, "{row}: {}", answer.body);
        let policy = answer.values("content-security-policy").concat();
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{row}: {policy}"
        );
        assert_eq!(answer.values("x-content-type-options"), ["nosniff"], "{row}");
        assert_eq!(answer.values("access-control-allow-origin"), [""; 0], "{row}");
    }
}
