//! What a client can bring about by itself ejects no version and empties none: everybody else gets what they got before.

use std::{net::SocketAddr, time::Duration};

use e2e::{
    bootstrap::{Surroundings, cluster},
    canary::{Backend, Canary, Delivery, NATIVE, cluster_name},
    client::{self, Protocol, Request},
    wait,
};
use serde_json::{Value, json};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    Subject,
    documents::{all_to, document, to},
    drills::with_fallback,
    steering::PROTOCOLS,
};

const HOST: &str = "reviews";
/// So many failures in succession eject.
const FAILURES: usize = 3;
/// More than all that a server takes of headers.
const LARGE: usize = 20_000;
/// For so long a server waits for the rest of a request.
const PATIENCE: Duration = Duration::from_millis(100);
/// More than workers take to tell each other.
const EXCHANGE: Duration = Duration::from_millis(300);

/// v2 as servers are: it closes a connection with headers that are too large for it, and with a request that does not come to
/// its end. Ends when it is dropped.
struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 65_536];
        let end = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let length = stream.read(&mut buffer).await?;
            if length == 0 || read.len() > LARGE / 2 {
                return Ok(());
            }
            read.extend_from_slice(&buffer[..length]);
        };
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
        let status = if head.contains("/broken") { "503 Service Unavailable" } else { "200 OK" };
        stream
            .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nx-served-by: v2\r\n\r\n").as_bytes())
            .await?;
    }
}

fn watched() -> Value {
    let mut document = with_fallback(document(&[(HOST, json!([{"route": to("v2")}]))]), &["v2", "v1"]);
    document["policies"][0]["failureAccrual"] =
        json!({"consecutiveFailures": FAILURES, "ejection": "60s", "slowAfter": "10s"});
    document
}

/// Whose session cookie names an endpoint, if it is there.
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

async fn start(subject: &Subject, server: &Server) -> Canary {
    let mut around = Surroundings::failing_over(subject.failover(), 1);
    around.after.push(sessions());
    let backends = ["v1", NATIVE].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &watched(), &backends).await;
    let mut v2 = cluster(&cluster_name("v2"), server.address);
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = v2["typed_extension_protocol_options"][kind].as_object_mut().expect("protocol options");
    options.remove("use_downstream_protocol_config");
    options.insert("explicit_http_config".to_owned(), json!({"http_protocol_options": {}}));
    canary.bring_clusters(&[v2]).await;
    canary
}

/// What a client does, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// `grpc-timeout` of a request that is none of gRPC.
    Deadline,
    /// `grpc-timeout` of a gRPC call.
    GrpcDeadline,
    /// Envoy's own header for a timeout, by a client that says it is inside.
    Timeout,
    /// It goes before the answer.
    Cancelled,
    /// More headers than the server takes.
    LargeHeaders,
    /// A session cookie for an endpoint that is not there.
    DeadSession,
    /// A body that does not come to its end.
    StalledUpload,
}

const CAUSES: [Cause; 7] = [
    Cause::Deadline,
    Cause::GrpcDeadline,
    Cause::Timeout,
    Cause::Cancelled,
    Cause::LargeHeaders,
    Cause::DeadSession,
    Cause::StalledUpload,
];

impl Cause {
    async fn happens(self, address: SocketAddr, protocol: Protocol) {
        let slow = Request::new(HOST, "/slow");
        let request = match self {
            Self::Deadline => slow.header("grpc-timeout", "1m"),
            Self::GrpcDeadline => slow
                .method("POST")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("grpc-timeout", "10m"),
            Self::Timeout => slow.header("x-forwarded-for", "10.0.0.1").header("x-envoy-upstream-rq-timeout-ms", "10"),
            Self::Cancelled => slow,
            Self::LargeHeaders => Request::new(HOST, "/").header("x-large", "x".repeat(LARGE)),
            // 127.0.0.1:1 in base64.
            Self::DeadSession => Request::new(HOST, "/").header("cookie", "session=\"MTI3LjAuMC4xOjE=\""),
            Self::StalledUpload => return stall(address).await,
        };
        if self == Self::Cancelled {
            let _cancelled = timeout(PATIENCE / 5, client::ask(address, protocol, &request)).await;
        } else {
            let _answer = client::ask(address, protocol, &request).await;
        }
    }
}

/// A request whose body is said to be longer than what comes.
async fn stall(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 100\r\n\r\nx");
    stream.write_all(head.as_bytes()).await.expect("write to an open connection");
    let _answer = timeout(PATIENCE * 3, stream.read(&mut [0; 1024])).await;
}

pub(crate) async fn what_a_client_brings_about_ejects_nobody(subject: &Subject) {
    let server = Server::start().await;
    let canary = start(subject, &server).await;
    let _log = canary.envoy.show_log_on_panic();
    let ask = async |path: &str| client::send(canary.address, Protocol::Http1, &Request::new(HOST, path)).await;
    for cause in CAUSES {
        for protocol in PROTOCOLS {
            for _ in 0..2 * FAILURES {
                cause.happens(canary.address, protocol).await;
            }
            sleep(EXCHANGE).await;
            for _ in 0..4 {
                let answer = ask("/").await;
                assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "after {cause:?}, {protocol:?}");
            }
        }
    }
    // That these eject shows that the others would have.
    for _ in 0..2 * FAILURES {
        ask("/broken").await;
    }
    wait::until("its own failures eject the version", async || (ask("/").await.served_by == "v1").then_some(())).await;
    canary.envoy.assert_no_crash();
    without_failover(subject).await;
}

/// The same cookie where the filter learns by itself.
async fn without_failover(subject: &Subject) {
    let around = Surroundings { after: vec![sessions()], ..Surroundings::default() };
    let document = with_fallback(all_to("v2"), &["v2", "v1"]);
    let backends = ["v1", "v2", NATIVE].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
    for protocol in PROTOCOLS {
        Cause::DeadSession.happens(canary.address, protocol).await;
        sleep(EXCHANGE).await;
        for _ in 0..4 {
            let answer = client::send(canary.address, protocol, &Request::new(HOST, "/")).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{protocol:?}");
        }
    }
}
