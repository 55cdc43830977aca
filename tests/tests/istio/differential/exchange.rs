//! Requests sent to a side, and all that came of each.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use e2e::{
    client::{Answer, Connection, Protocol, SendError},
    upstream::{Recorded, TEST_ID},
};
use tokio::task::JoinSet;

use super::{case::Side, requests::Ask};

/// A request's answer, and what upstreams got.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// `None` where the connection was closed instead.
    pub(crate) answer: Option<Answer>,
    /// Until the answer was there.
    pub(crate) took: Duration,
    /// The names of the upstreams, and what each got, in its order.
    pub(crate) arrivals: Vec<(String, Recorded)>,
}

impl Exchange {
    /// The values of a response header.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        self.answer.as_ref().map_or_else(Vec::new, |answer| answer.values(name))
    }
}

/// The id of a request at a side.
pub(crate) fn id(side: Side, index: usize) -> String {
    format!("{}/{index}", side.name())
}

/// Sends all requests in their order, so many at once.
pub(crate) async fn send_all(address: SocketAddr, side: Side, asks: &Arc<[Ask]>, at_once: usize) -> Vec<Exchange> {
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let asks = Arc::clone(asks);
        workers.spawn(async move {
            let (mut connections, mut answers) = ([None, None], Vec::new());
            for (index, ask) in asks.iter().enumerate().skip(worker).step_by(at_once) {
                let begin = Instant::now();
                let answer = send(address, ask, &id(side, index), &mut connections).await;
                answers.push((index, Exchange { answer, took: begin.elapsed(), arrivals: Vec::new() }));
            }
            answers
        });
    }
    let mut all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, exchange)| exchange).collect()
}

async fn send(address: SocketAddr, ask: &Ask, id: &str, connections: &mut [Option<Connection>; 2]) -> Option<Answer> {
    let request = ask.request.clone().header(TEST_ID, id);
    let [http1, http2] = connections;
    let connection = match ask.protocol {
        Protocol::Http1 => http1,
        Protocol::Http2 => http2,
    };
    loop {
        let mut open = match connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => Connection::open(address, ask.protocol).await.expect("a connection"),
        };
        match open.send(&request).await {
            Ok(answer) => {
                *connection = Some(open).filter(|_| !answer.closes);
                return Some(answer);
            }
            Err(SendError::NotSent(_)) => {}
            Err(SendError::Broken(_)) => return None,
        }
    }
}
