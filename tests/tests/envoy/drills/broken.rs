//! A version that breaks its connections harms its own requests only, and the filter never.

use std::{io, net::SocketAddr};

use e2e::{
    bootstrap::cluster,
    canary::{NATIVE, cluster_name},
    client::Request,
    load::Load,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::{assert_none_lost, start, with_fallback};
use crate::{
    Subject,
    documents::{document, to},
    steering::PROTOCOLS,
};

const REQUESTS: u64 = 1_000;
const CONNECTIONS: u64 = 4;
const VERSION: &str = "x-want";

/// How an upstream breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breakage {
    /// Nobody listens.
    Refused,
    /// It takes a connection and resets it.
    Reset,
    /// It resets the connection when a request has come.
    ResetByRequest,
    /// It resets the connection after the headers of its answer.
    ResetAfterHeaders,
}

const BREAKAGES: [Breakage; 4] =
    [Breakage::Refused, Breakage::Reset, Breakage::ResetByRequest, Breakage::ResetAfterHeaders];

impl Breakage {
    /// Requests for the broken version. Envoy takes a second to close a client's connection amid an answer.
    const fn requests(self) -> u64 {
        match self {
            Self::Refused | Self::Reset | Self::ResetByRequest => REQUESTS,
            Self::ResetAfterHeaders => 20,
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
    // What is unsent is thrown away at the end: the peer gets a reset.
    stream.set_zero_linger()?;
    if breakage != Breakage::Reset {
        let mut request = [0; 4_096];
        let _length = stream.read(&mut request).await?;
    }
    if breakage == Breakage::ResetAfterHeaders {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning").await?;
        // Envoy has read it once it sends on what follows, which never comes: give it time to.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    Ok(())
}

pub(crate) async fn leaves_other_versions_alone(subject: &Subject) {
    let wants = |version: &str| json!({"match": [{"headers": {VERSION: {"exact": version}}}], "route": to(version)});
    let document = with_fallback(document(&[("reviews", json!([wants("v1"), wants("v2")]))]), &["v2", "v1"]);
    let canary = start(subject, "learned", &document, &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    for breakage in BREAKAGES {
        let broken = Breaking::start(breakage).await;
        canary.add_clusters(&[cluster(&cluster_name("v2"), broken.address)]);
        canary.envoy.wait_for_endpoints(&cluster_name("v2"), Some(1)).await;
        for protocol in PROTOCOLS {
            let requests = breakage.requests();
            let load = |version, requests| {
                let get = Request::new("reviews", "/").header(VERSION, version);
                Load::start(canary.address, protocol, &get, CONNECTIONS, requests)
            };
            let (healthy, broken) = (load("v1", REQUESTS), load("v2", requests));
            let (healthy, broken) = (healthy.finish().await, broken.finish().await);
            assert_none_lost(&format!("v1 beside {breakage:?}, {protocol:?}"), &healthy);
            assert_eq!(healthy.served("v1"), REQUESTS);
            eprintln!("{breakage:?}, {protocol:?}: {} of {requests} failed", broken.failures.len());
            assert!(!broken.failures.is_empty(), "{breakage:?}, {protocol:?}: the broken version loses nothing");
            assert_eq!(broken.all(), requests, "{breakage:?}, {protocol:?}: every request has an end");
        }
        canary.add_clusters(&[]);
        canary.envoy.wait_for_endpoints(&cluster_name("v2"), None).await;
    }
    canary.envoy.assert_no_crash();
}
