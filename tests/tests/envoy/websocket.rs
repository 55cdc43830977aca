//! Upgraded connections.

use std::time::{Duration, Instant};

use e2e::{
    canary::{Canary, Delivery, UPSTREAMS},
    client::{self, Protocol, Request},
    wait,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Subject, documents::all_to, steering::TEST_ID};

pub(crate) async fn stays_open_through_a_change(subject: &Subject) {
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &all_to("v1"), &UPSTREAMS).await;
    let get = Request::new("reviews", "/chat");
    let (mut before, served_by) = client::open_websocket(canary.address, get.clone()).await;
    assert_eq!(served_by, "v1", "an upgrade takes the same decision");
    assert_echo(&mut before, "before the change").await;

    canary.configure(&all_to("v2"));
    wait::until("v2 serves", async || {
        let answer = client::send(canary.address, Protocol::Http1, &get).await;
        (answer.served_by == "v2").then_some(())
    })
    .await;
    assert_echo(&mut before, "after the change").await;

    let (mut after, served_by) = client::open_websocket(canary.address, get).await;
    assert_eq!(served_by, "v2", "a new upgrade takes the new decision");
    assert_echo(&mut after, "of the new version").await;
    assert_echo(&mut before, "beside the new one").await;
}

pub(crate) async fn takes_delays_and_rewrites(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    let request = Request::new("late.example", "/chat").header(TEST_ID, "WebSocket");
    let begin = Instant::now();
    let (mut stream, served_by) = client::open_websocket(canary.address, request).await;
    assert!(begin.elapsed() >= Duration::from_millis(200), "opened after {:?}", begin.elapsed());
    assert_eq!(served_by, "v2");
    assert_echo(&mut stream, "after a delay").await;
    let recorded = canary.upstream("v2").recorded("WebSocket").remove(0);
    assert_eq!((recorded.path.as_str(), recorded.authority.as_str()), ("/newchat", "inner.example"));
}

async fn assert_echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.expect("write to an open WebSocket");
    let mut echo = vec![0; text.len()];
    stream.read_exact(&mut echo).await.expect("read from an open WebSocket");
    assert_eq!(echo, text.as_bytes());
}
