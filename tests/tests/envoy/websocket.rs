//! Upgraded connections.

use std::time::{Duration, Instant};

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, UPSTREAMS},
    client::{self, Protocol, Request},
    upstream::ONCE,
    wait,
};
use serde_json::json;
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

pub(crate) async fn closed_by_the_server_ejects_nobody(subject: &Subject) {
    const ID: &str = "closed by the server";
    const CLOSED: usize = 5;
    // Several times the period of the exchange between workers.
    const EXCHANGE: Duration = Duration::from_millis(500);
    let mut document = all_to("v2");
    let accrual = json!({"consecutiveFailures": 1, "ejection": "60s"});
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": accrual}]);
    let surroundings = Surroundings::failing_over(subject.failover(), 1);
    let backends = UPSTREAMS.map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &backends).await;
    let _log = canary.envoy.show_log_on_panic();

    for _ in 0..CLOSED {
        let request = Request::new("reviews", &format!("/chat{ONCE}")).header(TEST_ID, ID);
        let (mut stream, served_by) = client::open_websocket(canary.address, request).await;
        assert_eq!(served_by, "v2");
        assert_echo(&mut stream, "once").await;
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0, "the server has closed it");
    }
    for entry in canary.access_logs(ID, CLOSED).await {
        assert_eq!((&entry["code"], &entry["flags"]), (&json!(101), &json!("UC")), "{entry}");
    }
    let ask =
        async |path| client::send(canary.address, Protocol::Http1, &Request::new("reviews", path)).await.served_by;
    let begin = Instant::now();
    while begin.elapsed() < EXCHANGE {
        assert_eq!(ask("/reviews/1").await, "v2", "nobody is ejected");
    }
    assert_eq!(ask("/status/503").await, "v2");
    wait::until("a failure ejects", async || (ask("/reviews/1").await == "v1").then_some(())).await;
}

async fn assert_echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.expect("write to an open WebSocket");
    let mut echo = vec![0; text.len()];
    stream.read_exact(&mut echo).await.expect("read from an open WebSocket");
    assert_eq!(echo, text.as_bytes());
}
