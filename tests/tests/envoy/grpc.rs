//! Faults and retries as gRPC clients see them.

use e2e::{
    canary::Canary,
    client::{self, Protocol, Request},
    grpc,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{Subject, documents::to, steering::TEST_ID};

const MARK: &str = "fault filter abort";

/// The host of this module, and its rules.
pub(crate) fn host() -> (&'static str, Value) {
    ("grpc.example", rules())
}

fn rules() -> Value {
    let abort = |path: &str, abort: Value| {
        let mut abort = abort;
        abort["percentage"] = json!({"value": 100});
        json!({"match": [{"uri": {"prefix": path}}], "fault": {"abort": abort}, "route": to("v1")})
    };
    let retry = |path: &str, on: &str| {
        let retries = json!({"attempts": 3, "retryOn": on});
        json!({"match": [{"uri": {"prefix": path}}], "retries": retries, "route": to("v1")})
    };
    json!([
        abort("/abort.Unavailable", json!({"grpcStatus": "UNAVAILABLE"})),
        abort("/abort.NotFound", json!({"grpcStatus": "NOT_FOUND"})),
        abort("/abort.Http503", json!({"httpStatus": 503})),
        abort("/abort.Http404", json!({"httpStatus": 404})),
        retry("/retry.Unavailable", "unavailable"),
        retry("/retry.Mixed", "5xx,cancelled,resource-exhausted"),
        {"route": to("v1")},
    ])
}

pub(crate) async fn an_abort_is_a_status_to_a_grpc_client(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for (name, path, expected) in [
        ("grpcStatus", "/abort.Unavailable/Call", Err((Code::Unavailable, MARK))),
        ("another grpcStatus", "/abort.NotFound/Call", Err((Code::NotFound, MARK))),
        ("httpStatus 503", "/abort.Http503/Call", Err((Code::Unavailable, MARK))),
        ("httpStatus 404", "/abort.Http404/Call", Err((Code::Unimplemented, MARK))),
        ("none", "/shop.Service/grpc-status/0", Ok(())),
        ("the service's own status", "/shop.Service/grpc-status/5", Err((Code::NotFound, ""))),
    ] {
        let found = call(canary, path).await.map_err(|status| (status.code(), status.message().to_owned()));
        let expected = expected.map_err(|(code, message): (Code, &str)| (code, message.to_owned()));
        assert_eq!(found, expected, "{name}");
    }
}

pub(crate) async fn an_abort_is_one_frame_of_headers(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for (path, code) in
        [("/abort.Unavailable/Call", "14"), ("/abort.NotFound/Call", "5"), ("/abort.Http503/Call", "14")]
    {
        let answer = client::send(canary.address, Protocol::Http2, &request(path).header(TEST_ID, path)).await;
        assert_eq!((answer.status, answer.headers_only), (200, true), "{path}: {answer:?}");
        assert_eq!(answer.values("grpc-status"), [code], "{path}");
        assert_eq!(answer.values("content-type"), ["application/grpc"], "{path}");
        assert_eq!(canary.access_log(path).await["details"], "canary_fault_abort", "{path}");
    }
}

pub(crate) async fn statuses_are_retried(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for (name, path, tries) in [
        ("three retries on unavailable are four tries", "/retry.Unavailable/grpc-status/14", 4),
        ("another status", "/retry.Unavailable/grpc-status/5", 1),
        ("a success", "/retry.Unavailable/grpc-status/0", 1),
        ("a gRPC condition beside an HTTP one", "/retry.Mixed/grpc-status/8", 4),
        ("another gRPC condition", "/retry.Mixed/grpc-status/1", 4),
        ("the HTTP one", "/retry.Mixed/status/500", 4),
    ] {
        let answer = client::send(canary.address, Protocol::Http2, &request(path).header(TEST_ID, name)).await;
        assert_eq!(canary.upstream("v1").recorded(name).len(), tries, "{name}: {answer:?}");
    }
}

fn request(path: &str) -> Request {
    let request = Request::new("grpc.example", path).method("POST");
    request.header("content-type", "application/grpc").header("te", "trailers")
}

/// A unary call by a real client.
async fn call(canary: &Canary, path: &'static str) -> Result<(), Status> {
    let mut client = grpc::Client::open(canary.address, "grpc.example").await.expect("a connection");
    client.call(path, &[]).await.map(drop)
}
