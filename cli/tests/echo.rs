//! The echo server, over both protocols, alone and in a chain.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use canaryctl::echo::{Echo, Server};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version, header::HeaderValue};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

/// A server of this process.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve(echo: Echo) -> Running {
    let server = Server::bind("127.0.0.1:0", echo).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async move { drop(stopped.await) }));
    Running { address, stop, task }
}

fn reviews() -> Echo {
    Echo { service: "reviews".to_owned(), version: "v2".to_owned(), ..Echo::default() }
}

fn get(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://{address}{path}")).body(Full::default()).unwrap()
}

async fn send(request: Request<Full<Bytes>>, version: Version) -> (Response<()>, Value) {
    let client = Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build_http();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn an_answer_says_what_was_asked() {
    let server = serve(reviews()).await;
    let authority = server.address.to_string();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (name, method, path, status) in [
            ("plain", Method::GET, "/reviews/1?x=1", 200),
            ("body", Method::POST, "/reviews", 200),
            ("status", Method::GET, "/a/status/503/b", 503),
            ("status in the query", Method::GET, "/?/status/503", 200),
            ("status and delay", Method::PUT, "/delay/1ms/status/404", 404),
        ] {
            let mut request = get(server.address, path);
            *request.method_mut() = method.clone();
            *request.body_mut() = Full::from(vec![b'x'; 100_000]);
            let (response, body) = send(request, version).await;
            assert_eq!((response.status().as_u16(), response.version()), (status, version), "{name}");
            for (field, expected) in [
                ("service", json!("reviews")),
                ("version", json!("v2")),
                ("method", json!(method.as_str())),
                ("path", json!(path)),
                ("authority", json!(authority)),
                ("calls", json!([])),
            ] {
                assert_eq!(body[field], expected, "{name}: {field} over {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_header_line_is_shown() {
    let server = serve(reviews()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut request = get(server.address, "/");
        let mut expected = Vec::new();
        for number in 0..300 {
            request.headers_mut().append("x-many", HeaderValue::from(number));
            expected.push(number.to_string());
        }
        request.headers_mut().append("x-bytes", HeaderValue::from_bytes(b"a\xffb").unwrap());
        request.headers_mut().append("x-long", HeaderValue::from_str(&"x".repeat(60_000)).unwrap());
        let (_, body) = send(request, version).await;
        let values = |name: &str| {
            let lines = body["headers"].as_array().unwrap().iter().filter(|line| line[0] == name);
            lines.map(|line| line[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values("x-many"), expected, "{version:?}");
        assert_eq!(values("x-bytes"), ["a\u{fffd}b"], "{version:?}");
        assert_eq!(values("x-long")[0].len(), 60_000, "{version:?}");
    }
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    let server = serve(reviews()).await;
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        let (response, body) =
            send(get(server.address, &format!("/status/{}", status.as_u16())), Version::HTTP_11).await;
        assert_eq!((response.status(), body), (status, Value::Null));
    }
}

#[tokio::test]
async fn calls_are_made_in_order_and_reported() {
    let ratings = serve(Echo { service: "ratings".to_owned(), version: "v1".to_owned(), ..Echo::default() }).await;
    let closed = serve(reviews()).await;
    closed.stop.send(()).unwrap();
    closed.task.await.unwrap();
    let via = Some(ratings.address.to_string().parse().unwrap());
    let calls = |urls: &[&str]| urls.iter().map(|url| url.parse().unwrap()).collect::<Vec<_>>();
    let direct = format!("http://{}/direct", ratings.address);
    let refused = format!("http://{}/", closed.address);
    let through = ["http://ratings:9080/ratings/1?x=1", "http://ratings/status/503"];
    let through = serve(Echo { calls: calls(&through), via, ..reviews() }).await;
    let direct = serve(Echo { calls: calls(&[&direct, &refused]), ..reviews() }).await;
    let mut headers = HeaderMap::new();
    headers.append("end-user", HeaderValue::from_static("jason"));
    headers.append("x-secret", HeaderValue::from_static("stays"));

    let mut request = get(through.address, "/status/418");
    request.headers_mut().extend(headers);
    let (response, body) = send(request, Version::HTTP_11).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT, "calls leave the status alone");
    for (pointer, expected) in [
        ("/calls/0/url", json!("http://ratings:9080/ratings/1?x=1")),
        ("/calls/0/status", json!(200)),
        ("/calls/0/body/service", json!("ratings")),
        ("/calls/0/body/authority", json!("ratings:9080")),
        ("/calls/0/body/path", json!("/ratings/1?x=1")),
        ("/calls/0/body/headers", json!([["host", "ratings:9080"], ["end-user", "jason"]])),
        ("/calls/1/status", json!(503)),
        ("/calls/1/body/authority", json!("ratings")),
        ("/calls/2", Value::Null),
    ] {
        assert_eq!(body.pointer(pointer).cloned().unwrap_or_default(), expected, "{pointer}");
    }

    let (response, body) = send(get(direct.address, "/"), Version::HTTP_11).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(body["calls"][0]["body"]["path"], "/direct");
    assert!(body["calls"][1]["error"].as_str().unwrap().starts_with("cannot connect: "), "{body}");
    assert_eq!(body["calls"][1].get("status"), None);
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_end() {
    let server = serve(reviews()).await;
    let under_way = tokio::spawn(send(get(server.address, "/delay/500ms"), Version::HTTP_11));
    // A second request that was answered proves that the server has long accepted the first.
    send(get(server.address, "/delay/100ms"), Version::HTTP_11).await;
    server.stop.send(()).unwrap();
    assert_eq!(under_way.await.unwrap().1["service"], "reviews");
    server.task.await.unwrap();
    assert!(Server::bind(&server.address.to_string(), reviews()).await.is_ok(), "the port is free again");
}

#[tokio::test]
async fn health_is_told_and_new_requests_are_answered_while_it_drains() {
    let calls = vec!["http://127.0.0.1:1/never".parse().unwrap()];
    let server = serve(Echo { drain: Duration::from_secs(2), calls, ..reviews() }).await;
    let health = async || {
        let (response, body) = send(get(server.address, "/healthz"), Version::HTTP_11).await;
        (response.status(), body)
    };
    assert_eq!(health().await, (StatusCode::OK, Value::Null), "well, and nobody is called");
    server.stop.send(()).unwrap();
    // If it never said so, it would end after two seconds, and not answer.
    while health().await.0 == StatusCode::OK {}
    assert_eq!(send(get(server.address, "/"), Version::HTTP_11).await.0.status(), StatusCode::OK, "new requests");
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_grpc_call_gets_a_message_and_a_status() {
    let server = serve(reviews()).await;
    for (kind, is_grpc) in [("application/grpc", true), ("application/grpc+proto", true), ("application/json", false)] {
        let mut request = get(server.address, "/engine.Engine/Run");
        *request.method_mut() = Method::POST;
        request.headers_mut().insert("content-type", HeaderValue::from_static(kind));
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
        assert_eq!(head.headers["content-type"] == "application/grpc", is_grpc, "{kind}");
        assert_eq!(status.is_some_and(|status| status == "0"), is_grpc, "{kind}");
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        assert_eq!(text.starts_with(r#"{"service":"reviews""#), !is_grpc, "{kind}: {text}");
        assert!(text.contains(r#"{"service":"reviews""#), "{kind}: {text}");
    }
}

#[test]
fn the_command_serves_until_it_is_told_to_end() {
    for (name, signal) in [("SIGINT", Signal::INT), ("SIGTERM", Signal::TERM)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canaryctl"));
        command.args(["echo", "--listen", "127.0.0.1:0", "--service", "reviews", "--version", "v2"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        assert!(line.starts_with("reviews v2 listens on 127.0.0.1:"), "{line}");
    }
}

#[test]
fn wrong_flags_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (name, flags, expected) in [
        ("port taken", vec!["--listen", &*taken], "error: --listen 127.0.0.1:"),
        ("no host", vec!["--listen", "9080"], "is not HOST:PORT"),
        ("no HTTP", vec!["--listen", "127.0.0.1:0", "--call", "https://x/"], "give an absolute http:// URL"),
        ("no proxy", vec!["--listen", "127.0.0.1:0", "--via", "x"], "--via"),
        ("no duration", vec!["--listen", "127.0.0.1:0", "--drain", "2"], "give a duration, such as 2s"),
        ("nothing", vec![], "--listen"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canaryctl"));
        command.args(["echo", "--service", "reviews", "--version", "v2"]).args(flags);
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{name}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(expected), "{name}: {error}");
    }
}
