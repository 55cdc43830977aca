//! Combines the retries of a rule, the retries of a policy, and retries of unsent requests: each row of the table in the
//! README.

use e2e::{
    bootstrap::{Surroundings, cluster},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{self, Protocol, Request},
    grpc,
};
use serde_json::{Value, json};

use super::failover::{ClosedPort, to_v3};
use crate::Subject;

const HOST: &str = "reviews";
const VERSIONS: [&str; 3] = ["v3", "v2", "v1"];

fn document(retries: Value, next: Value) -> Value {
    let mut document = to_v3();
    document["virtualServices"][0]["spec"]["http"][0]["retries"] = retries;
    document["policies"][0]["retryNext"] = next;
    document
}

/// The row, the rule's `retries`, the policy's `retryNext`, the request, its status, and the tries of v3, v2 and v1.
type Row = (&'static str, Value, Value, Request, u16, [u64; 3]);

fn rows() -> Vec<Row> {
    let get = |path: &str| Request::new(HOST, path);
    let post = |path: &str| get(path).method("POST").body("x");
    let no = || Value::Null;
    let on_5xx = || json!({"on": ["5xx"]});
    let once = || json!({"attempts": 1, "retryOn": "5xx"});
    vec![
        ("neither", no(), no(), get("/status/503"), 503, [1, 0, 0]),
        ("the policy's, as often as the order is long", no(), on_5xx(), get("/status/503"), 503, [1, 1, 1]),
        ("the policy's, once", no(), json!({"on": ["5xx"], "attempts": 1}), get("/status/503"), 503, [1, 1, 0]),
        ("the policy's, another method", no(), on_5xx(), post("/status/503"), 503, [1, 0, 0]),
        (
            "the policy's, a listed method",
            no(),
            json!({"on": ["5xx"], "methods": ["POST"]}),
            post("/status/503"),
            503,
            [1, 1, 1],
        ),
        ("the policy's, another status", no(), json!({"statuses": [429]}), get("/status/503"), 503, [1, 0, 0]),
        ("the policy's statuses", no(), json!({"statuses": [429]}), get("/status/429"), 429, [1, 1, 1]),
        ("the policy's, a good answer", no(), on_5xx(), get("/"), 200, [1, 0, 0]),
        ("the rule's, at least as often as the order is long", once(), no(), post("/status/503"), 503, [1, 1, 1]),
        (
            "the rule's, more often: from the first on again",
            json!({"attempts": 4, "retryOn": "5xx"}),
            no(),
            get("/status/503"),
            503,
            [2, 2, 1],
        ),
        ("the rule's, none", json!({"attempts": 0}), no(), get("/status/503"), 503, [1, 0, 0]),
        (
            "both: the conditions of both",
            json!({"attempts": 1, "retryOn": "429"}),
            on_5xx(),
            get("/status/503"),
            503,
            [1, 1, 1],
        ),
        (
            "both: the larger count",
            json!({"attempts": 1, "retryOn": "429"}),
            json!({"on": ["5xx"], "attempts": 1}),
            get("/status/503"),
            503,
            [1, 1, 0],
        ),
        (
            "a limit of each try",
            no(),
            json!({"on": ["5xx"], "perTryTimeout": "50ms"}),
            get("/delay/1s"),
            504,
            [1, 1, 1],
        ),
    ]
}

async fn start(subject: &Subject, backends: &[&str], document: &Value) -> Canary {
    let backends: Vec<_> = backends.iter().copied().map(Backend::of).collect();
    let around = Surroundings::failing_over(subject.failover(), 2);
    Canary::start_in(&subject.binary, Delivery::Ecds, around, document, &backends).await
}

pub(crate) async fn combine_as_the_table_says(subject: &Subject) {
    let canary = start(subject, &["v1", "v2", "v3", NATIVE], &to_v3()).await;
    let _log = canary.envoy.show_log_on_panic();
    let mut before = to_v3();
    for (row, retries, next, request, status, expected) in rows() {
        let document = document(retries, next);
        if document != before {
            canary.take(&document).await;
            before = document;
        }
        canary.upstreams().for_each(|upstream| upstream.forget());
        let answer = client::send(canary.address, Protocol::Http1, &request).await;
        assert_eq!(answer.status, status, "{row}");
        assert_eq!(VERSIONS.map(|version| canary.upstream(version).count()), expected, "{row}");
    }
    canary.take(&document(Value::Null, json!({"on": ["unavailable"], "methods": ["POST"]}))).await;
    canary.upstream("v3").fail_every(1);
    let mut channel = grpc::Client::open(canary.address, HOST).await.expect("a connection");
    assert_eq!(channel.call(grpc::GET, &[]).await.expect("an answer"), "v2", "calls that may be repeated");
    canary.take(&to_v3()).await;
    assert!(channel.call(grpc::GET, &[]).await.is_err(), "calls that may not");
    connection_failures_are_always_retried(subject).await;
}

/// v3 and v2 refuse connections.
async fn connection_failures_are_always_retried(subject: &Subject) {
    let closed = ClosedPort::new();
    let canary = start(subject, &["v1", NATIVE], &document(Value::Null, Value::Null)).await;
    let refusing = ["v3", "v2"].map(|version| cluster(&cluster_name(version), closed.address));
    canary.bring_clusters(&refusing).await;
    let mut before = document(Value::Null, Value::Null);
    for (row, retries, next) in [
        ("neither", Value::Null, Value::Null),
        ("the rule's, none", json!({"attempts": 0}), Value::Null),
        ("the rule's, fewer", json!({"attempts": 1, "retryOn": "5xx"}), Value::Null),
        ("the policy's", Value::Null, json!({"on": ["5xx"]})),
    ] {
        let next = document(retries, next);
        if next != before {
            canary.take(&next).await;
            before = next;
        }
        for request in [Request::new(HOST, "/"), Request::new(HOST, "/").method("POST").body(vec![b'x'; 200_000])] {
            let answer = client::send(canary.address, Protocol::Http2, &request).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{row}");
        }
    }
}
