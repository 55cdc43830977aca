//! A version that breaks connections or calls fails only its own requests: none of those that it has not got, and
//! few with failure accrual.

use std::{io, net::SocketAddr, time::Duration};

use e2e::{
    bootstrap::cluster,
    canary::{NATIVE, cluster_name},
    client::{Protocol, Request},
    load::{Kind, Load},
    upstream::Upstream,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time,
};

use super::{assert_none_lost, ejections, native_by_header, start, start_native, with_fallback};
use crate::{
    Subject,
    documents::{document, to},
    steering::PROTOCOLS,
};

const REQUESTS: u64 = 250;
const CONTROL: u64 = 8;
const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(4);
/// The failures in succession that eject.
const FAILURES: u64 = 5;
const VERSION: &str = "x-want";

/// How an upstream breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breakage {
    /// No process listens.
    Refused,
    /// It accepts a connection and resets it.
    Reset,
    /// It resets the connection after a request.
    ResetByRequest,
    /// It resets the connection after the response headers.
    ResetAfterHeaders,
}

const BREAKAGES: [Breakage; 4] =
    [Breakage::Refused, Breakage::Reset, Breakage::ResetByRequest, Breakage::ResetAfterHeaders];

impl Breakage {
    /// The requests for the broken version. Envoy needs a second to close a client's connection during a response.
    fn requests(self, subject: &Subject) -> u64 {
        match self {
            Self::Refused | Self::Reset | Self::ResetByRequest => subject.share_of(REQUESTS),
            Self::ResetAfterHeaders => subject.share_of(10),
        }
    }
}

/// Ends when it is dropped.
struct Breaking {
    address: SocketAddr,
    server: Option<AbortHandle>,
}

impl Breaking {
    async fn start(breakage: Breakage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let server = (breakage != Breakage::Refused).then(|| {
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(break_off(stream, breakage));
                }
            })
            .abort_handle()
        });
        Self { address, server }
    }
}

impl Drop for Breaking {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn break_off(mut stream: TcpStream, breakage: Breakage) -> io::Result<()> {
    // Unsent data is dropped, so the peer gets a reset.
    stream.set_zero_linger()?;
    if breakage != Breakage::Reset {
        let mut request = [0; 4_096];
        let _length = stream.read(&mut request).await?;
    }
    if breakage == Breakage::ResetAfterHeaders {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning").await?;
        // Gives Envoy time to read the headers.
        time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Sends requests for a healthy and a broken version. Those that the broken version has got fail with and without the filter.
/// Those that it refuses fail only without the filter.
pub(crate) async fn leaves_other_versions_alone(subject: &Subject) {
    let rule = |version| json!({"match": [{"headers": {VERSION: {"exact": version}}}], "route": to(version)});
    let document = with_fallback(document(&[("reviews", json!(["v1", "v2"].map(rule)))]), &["v2", "v1"]);
    let canary = start(subject, &document, &["v1", NATIVE]).await;
    let native = start_native(subject, &native_by_header(VERSION, &["v1", "v2"]), &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    for breakage in BREAKAGES {
        let broken = Breaking::start(breakage).await;
        for (suffix, proxy) in [("", &canary), (" (control)", &native)] {
            proxy.add_clusters(&[cluster(&cluster_name("v2"), broken.address)]);
            proxy.envoy.wait_for_endpoints(&cluster_name("v2"), Some(1)).await;
            for protocol in PROTOCOLS {
                let row = format!("{breakage:?}, {protocol:?}{suffix}");
                let load = |version| {
                    let get = Request::new("reviews", "/").header(VERSION, version);
                    Load::paced(proxy.address, &Kind::Http(protocol, get), CONNECTIONS, PAUSE)
                };
                let (healthy, broken) = (load("v1"), load("v2"));
                broken.go_on_for(breakage.requests(subject)).await;
                healthy.go_on_for(CONNECTIONS).await;
                let (healthy, broken) = (healthy.stop().await, broken.stop().await);
                assert_none_lost(&format!("v1 beside {row}"), &healthy);
                assert_eq!(healthy.served("v1"), healthy.all(), "{row}");
                eprintln!("{row}: {} of {} failed", broken.failures.len(), broken.all());
                if breakage == Breakage::Refused && suffix.is_empty() {
                    assert_none_lost(&row, &broken);
                    assert_eq!(broken.served("v1"), broken.all(), "{row}");
                } else if breakage == Breakage::Reset && suffix.is_empty() {
                    // The reset may come before or after Envoy has sent the request.
                    assert_eq!(broken.served("v1") + broken.failures.len() as u64, broken.all(), "{row}");
                } else {
                    assert_eq!(broken.failures.len() as u64, broken.all(), "{row}");
                }
            }
            proxy.add_clusters(&[]);
            proxy.envoy.wait_for_endpoints(&cluster_name("v2"), None).await;
        }
    }
    canary.envoy.assert_no_crash();
}

/// The failure, the kind and the least number of requests. Each row has its own host and version. Without a breakage it
/// is a gRPC server that ends each call with UNAVAILABLE.
fn failing() -> Vec<(&'static str, Option<Breakage>, Kind, u64)> {
    let by = |name, breakage: Breakage, protocol| {
        let requests = if breakage == Breakage::ResetAfterHeaders { 20 } else { 100 };
        (name, Some(breakage), Kind::Http(protocol, Request::new(name, "/")), requests)
    };
    let (unary, stream) = ("unavailable-unary", "unavailable-after-messages");
    vec![
        by("refused-http1", Breakage::Refused, Protocol::Http1),
        by("refused-http2", Breakage::Refused, Protocol::Http2),
        by("reset-http1", Breakage::Reset, Protocol::Http1),
        by("reset-http2", Breakage::Reset, Protocol::Http2),
        by("reset-by-request-http1", Breakage::ResetByRequest, Protocol::Http1),
        by("reset-by-request-http2", Breakage::ResetByRequest, Protocol::Http2),
        by("reset-after-headers", Breakage::ResetAfterHeaders, Protocol::Http1),
        (unary, None, Kind::Unary(unary.to_owned()), 100),
        (stream, None, Kind::Stream(stream.to_owned()), 100),
    ]
}

/// Requests for each host go to the version with its name, and to v1 while that is ejected.
fn by_host(names: &[&str]) -> Value {
    let hosts: Vec<_> = names.iter().map(|name| (*name, json!([{"route": to(name)}]))).collect();
    let subset = |name: &&str| json!({"name": name, "labels": {"version": name}});
    let mut document = document(&hosts);
    document["destinationRules"][0]["spec"]["subsets"] = names.iter().chain(&["v1"]).map(subset).collect();
    document["policies"] = json!([{
        "hosts": ["reviews"],
        "fallback": ["v1"],
        "failureAccrual": {"consecutiveFailures": FAILURES, "ejection": "60s"},
    }]);
    document
}

/// Each kind of failure counts, and ejects.
pub(crate) async fn is_ejected(subject: &Subject) {
    // The failures in each worker, and the requests in flight.
    const MOST: u64 = 2 * FAILURES + CONNECTIONS;
    let failing = failing();
    let names: Vec<_> = failing.iter().map(|(name, ..)| *name).collect();
    let canary = start(subject, &by_host(&names), &["v1", NATIVE]).await;
    let native = start_native(subject, &native_by_header(":authority", &names), &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    let unavailable = Upstream::start("unavailable").await;
    unavailable.fail_every(1);
    let (mut clusters, mut broken) = (Vec::new(), Vec::new());
    for (name, breakage, ..) in &failing {
        let address = match breakage {
            Some(breakage) => {
                broken.push(Breaking::start(*breakage).await);
                broken[broken.len() - 1].address
            }
            None => unavailable.address(),
        };
        clusters.push(cluster(&cluster_name(name), address));
    }
    for (suffix, proxy) in [("", &canary), (" (control)", &native)] {
        proxy.add_clusters(&clusters);
        for name in &names {
            proxy.envoy.wait_for_endpoints(&cluster_name(name), Some(1)).await;
        }
        let start = |kind| Load::paced(proxy.address, kind, CONNECTIONS, PAUSE);
        let loads: Vec<_> = failing.iter().map(|(.., kind, _)| start(kind)).collect();
        for (load, (name, breakage, _, requests)) in loads.into_iter().zip(&failing) {
            let requests = if suffix.is_empty() { *requests } else { CONTROL };
            load.go_on_for(requests.saturating_sub(load.so_far().all())).await;
            let outcome = load.stop().await;
            let failed = outcome.failures.len() as u64;
            eprintln!("{name}{suffix}: {failed} of {} failed", outcome.all());
            if suffix.is_empty() {
                let least = match breakage {
                    Some(Breakage::Refused | Breakage::Reset) => 0,
                    Some(Breakage::ResetByRequest | Breakage::ResetAfterHeaders) | None => FAILURES,
                };
                assert!((least..=MOST).contains(&failed), "{name}: {failed} failed, at most {MOST} may");
            } else {
                assert_eq!(failed, outcome.all(), "{name}{suffix}: nothing bounds what fails");
            }
        }
    }
    assert!(ejections(&canary, "consecutive-failures").await >= names.len() as u64, "ejections");
    canary.envoy.assert_no_crash();
}
