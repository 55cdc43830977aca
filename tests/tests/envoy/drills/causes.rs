//! Failures that a client causes eject no version and make no cluster empty. Other clients are not affected.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use e2e::{
    bootstrap::{Surroundings, cluster},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{self, Protocol, Request},
    wait,
};
use http_body_util::StreamBody;
use hyper::{
    body::Frame,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;

use crate::{
    Subject,
    documents::{all_to, document, to},
    drills::with_fallback,
    steering::PROTOCOLS,
};

const HOST: &str = "reviews";
/// The failures in succession that eject.
const FAILURES: usize = 3;
/// More bytes of headers than a server accepts.
const LARGE: usize = 20_000;
/// How long a server waits for the rest of a request.
const PATIENCE: Duration = Duration::from_millis(100);
/// Longer than any response takes, and shorter than a slow upload.
const SLOW: Duration = Duration::from_millis(400);
/// Between the bytes of a slow upload.
const TRICKLE: Duration = Duration::from_millis(60);
/// The length of an upload.
const UPLOAD: usize = 10;
/// The gRPC status of a call whose deadline has passed.
const DEADLINE_EXCEEDED: u16 = 4;
/// The row in which every status is that of the first try.
const NOTHING_REPEATED: &str = "nothing is repeated";
/// More than the exchange between workers takes.
const EXCHANGE: Duration = Duration::from_millis(300);

/// A typical server as v2. It closes a connection with too large headers, or with a request that
/// remains incomplete. It ends when it is dropped.
struct Server {
    address: SocketAddr,
    /// Requests that it has read and delayed.
    hanging: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let hanging = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&hanging);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&counter)));
            }
        });
        Self { address, hanging, task: task.abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, hanging: Arc<AtomicUsize>) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 65_536];
        let end = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            read.extend_from_slice(&buffer[..length]);
        };
        if end > LARGE / 2 {
            return Ok(());
        }
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let whole = end + value("content-length: ").and_then(|length| length.parse().ok()).unwrap_or(0);
        while read.len() < whole {
            let length = timeout(PATIENCE, stream.read(&mut buffer)).await??;
            read.extend_from_slice(&buffer[..length]);
        }
        read.drain(..whole);
        if head.contains("/slow") {
            sleep(PATIENCE).await;
        }
        if head.contains("/hang") {
            hanging.fetch_add(1, Ordering::Relaxed);
            sleep(2 * SLOW).await;
        }
        let status = if head.contains("/broken") { "503 Service Unavailable" } else { "200 OK" };
        stream
            .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nx-served-by: v2\r\n\r\n").as_bytes())
            .await?;
    }
}

/// The conditions for a retry on the next version.
fn repeating() -> Value {
    json!({"on": ["5xx", "reset", "cancelled", "deadline-exceeded"], "methods": ["GET", "POST"]})
}

fn watched(retry_next: Value) -> Value {
    let mut document = with_fallback(document(&[(HOST, json!([{"route": to("v2")}]))]), &["v2", "v1"]);
    document["policies"][0]["failureAccrual"] =
        json!({"consecutiveFailures": FAILURES, "ejection": "60s", "slowAfter": format!("{}ms", SLOW.as_millis())});
    document["policies"][0]["retryNext"] = retry_next;
    document
}

/// Sessions by a cookie that names an endpoint.
fn sessions() -> Value {
    json!({
        "name": "envoy.filters.http.stateful_session",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession",
            "strict": true,
            "session_state": {
                "name": "envoy.http.stateful_session.cookie",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
                    "cookie": {"name": "session", "path": "/"},
                },
            },
        },
    })
}

async fn start(subject: &Subject, server: &Server, document: &Value) -> Canary {
    let mut around = Surroundings::failing_over(subject.failover(), 1);
    around.after.push(sessions());
    // For internal clients, whose time limits Envoy accepts.
    around.manager =
        json!({"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}});
    let backends = ["v1", NATIVE].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, document, &backends).await;
    let mut v2 = cluster(&cluster_name("v2"), server.address);
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = v2["typed_extension_protocol_options"][kind].as_object_mut().expect("protocol options");
    options.remove("use_downstream_protocol_config");
    options.insert("explicit_http_config".to_owned(), json!({"http_protocol_options": {}}));
    canary.bring_clusters(&[v2]).await;
    canary
}

/// A failure that a client causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// `grpc-timeout` of a request that is not a gRPC call.
    Deadline,
    /// `grpc-timeout` of a gRPC call.
    GrpcDeadline,
    /// Envoy's timeout header, from an internal client.
    Timeout,
    /// The same for each try.
    TryTimeout,
    /// The client leaves before the response.
    Cancelled,
    /// A cancelled gRPC call.
    GrpcCancelled,
    /// Larger headers than the server accepts.
    LargeHeaders,
    /// A session cookie for a missing endpoint.
    DeadSession,
    /// An incomplete body.
    StalledUpload,
    /// A body that takes longer than `slowAfter`.
    SlowUpload,
}

const CAUSES: [Cause; 10] = [
    Cause::Deadline,
    Cause::GrpcDeadline,
    Cause::Timeout,
    Cause::TryTimeout,
    Cause::Cancelled,
    Cause::GrpcCancelled,
    Cause::LargeHeaders,
    Cause::DeadSession,
    Cause::StalledUpload,
    Cause::SlowUpload,
];

impl Cause {
    /// The status without retries, gRPC's if there is one. `None` if the client does not wait for it.
    fn status(self) -> Option<u16> {
        match self {
            Self::Deadline | Self::SlowUpload => Some(200),
            Self::GrpcDeadline => Some(DEADLINE_EXCEEDED),
            Self::Timeout | Self::TryTimeout => Some(504),
            Self::Cancelled | Self::GrpcCancelled => None,
            Self::LargeHeaders | Self::DeadSession | Self::StalledUpload => Some(503),
        }
    }

    /// Causes the failure. Returns the status, gRPC's if there is one.
    async fn happens(self, address: SocketAddr, protocol: Protocol) -> Option<u16> {
        let slow = Request::new(HOST, "/slow");
        let inside = || slow.clone().header("x-forwarded-for", "10.0.0.1");
        let call = |path: &str| {
            let call = Request::new(HOST, path).method("POST");
            call.header("content-type", "application/grpc").header("te", "trailers")
        };
        let request = match self {
            Self::Deadline => slow.header("grpc-timeout", "1m"),
            Self::GrpcDeadline => call("/slow").header("grpc-timeout", "10m"),
            Self::Timeout => inside().header("x-envoy-upstream-rq-timeout-ms", "10"),
            Self::TryTimeout => inside().header("x-envoy-upstream-rq-per-try-timeout-ms", "10"),
            Self::Cancelled => Request::new(HOST, "/hang"),
            Self::GrpcCancelled => call("/hang"),
            Self::LargeHeaders => Request::new(HOST, "/").header("x-large", "x".repeat(LARGE)),
            // 127.0.0.1:1 in base64.
            Self::DeadSession => Request::new(HOST, "/").header("cookie", "session=\"MTI3LjAuMC4xOjE=\""),
            Self::StalledUpload => return upload(address, protocol, 1).await,
            Self::SlowUpload => return upload(address, protocol, UPLOAD).await,
        };
        let answer = client::ask(address, protocol, &request).await?;
        let of_grpc = answer.values("grpc-status");
        of_grpc.first().map_or(Some(answer.status), |status| status.parse().ok())
    }

    /// Causes the failure twice as often as would eject a version.
    async fn happen_often(self, (address, server): (SocketAddr, &Server), protocol: Protocol) -> Vec<Option<u16>> {
        const TIMES: usize = 2 * FAILURES;
        let before = server.hanging.load(Ordering::Relaxed);
        let mut clients: JoinSet<_> = (0..TIMES).map(|_| self.happens(address, protocol)).collect();
        if self.status().is_some() {
            return clients.join_all().await;
        }
        // The calls are cancelled when the server has them.
        let all = || (server.hanging.load(Ordering::Relaxed) >= before + TIMES).then_some(());
        wait::until("the server has every request", async || all()).await;
        clients.abort_all();
        while let Some(client) = clients.join_next().await {
            assert!(client.is_err_and(|error| error.is_cancelled()), "{self:?}: none is answered");
        }
        Vec::new()
    }
}

/// An upload of this number of bytes, sent one by one. It may be shorter than its declared length. The client waits
/// a limited time for the response.
async fn upload(address: SocketAddr, protocol: Protocol, bytes: usize) -> Option<u16> {
    let frames = tokio_stream::iter(0..bytes).throttle(TRICKLE).chain(tokio_stream::pending()).take(UPLOAD);
    let frames = frames.map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))));
    let uri = if protocol == Protocol::Http2 { format!("http://{HOST}/") } else { "/".to_owned() };
    let request = hyper::Request::post(uri).header("content-length", UPLOAD);
    let request = if protocol == Protocol::Http2 { request } else { request.header("host", HOST) };
    let request = request.body(StreamBody::new(Box::pin(frames))).expect("a request");
    let io = TokioIo::new(TcpStream::connect(address).await.expect("a connection"));
    let answer = async {
        match protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            }
            Protocol::Http2 => {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        }
    };
    timeout(2 * SLOW, answer).await.ok()?.ok().map(|answer| answer.status().as_u16())
}

pub(crate) async fn what_a_client_brings_about_ejects_nobody(subject: &Subject) {
    let server = Server::start().await;
    for (row, retry_next) in [(NOTHING_REPEATED, Value::Null), ("much is repeated", repeating())] {
        let canary = start(subject, &server, &watched(retry_next)).await;
        let _log = canary.envoy.show_log_on_panic();
        let ask = async |path: &str| client::send(canary.address, Protocol::Http1, &Request::new(HOST, path)).await;
        for cause in CAUSES {
            for protocol in PROTOCOLS {
                let statuses = cause.happen_often((canary.address, &server), protocol).await;
                if row == NOTHING_REPEATED {
                    let expected = cause.status();
                    assert!(statuses.iter().all(|status| *status == expected), "{cause:?}, {protocol:?}: {statuses:?}");
                }
                sleep(EXCHANGE).await;
                for _ in 0..4 {
                    let answer = ask("/").await;
                    let served = (answer.status, answer.served_by.as_str());
                    assert_eq!(served, (200, "v2"), "{row}, after {cause:?}, {protocol:?}");
                }
            }
        }
        // The version's own failures still eject it. Their method is never repeated.
        let broken = Request::new(HOST, "/broken").method("PUT");
        for _ in 0..2 * FAILURES {
            client::send(canary.address, Protocol::Http1, &broken).await;
        }
        wait::until("its own failures eject the version", async || (ask("/").await.served_by == "v1").then_some(()))
            .await;
        canary.envoy.assert_no_crash();
    }
    without_failover(subject).await;
}

/// The same cookie without failover clusters.
async fn without_failover(subject: &Subject) {
    let around = Surroundings { after: vec![sessions()], ..Surroundings::default() };
    let document = with_fallback(all_to("v2"), &["v2", "v1"]);
    let backends = ["v1", "v2", NATIVE].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
    for protocol in PROTOCOLS {
        assert_eq!(Cause::DeadSession.happens(canary.address, protocol).await, Some(503), "{protocol:?}");
        sleep(EXCHANGE).await;
        for _ in 0..4 {
            let answer = client::send(canary.address, protocol, &Request::new(HOST, "/")).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{protocol:?}");
        }
    }
}
