//! Load while containers are changed.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use e2e::{
    client::{Answer, Connection, Protocol, Request},
    wait,
};
use serde_json::Value;
use tokio::task::JoinSet;

/// Answers by who gave them, `SERVICE/VERSION`, and everything else by what it was.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Clients that send one request after the other until they are stopped.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    counts: Arc<Mutex<Counts>>,
    clients: JoinSet<()>,
}

impl Traffic {
    pub(crate) fn start(address: SocketAddr, request: &Request, clients: usize) -> Self {
        Self::up_to(address, request, clients, u64::MAX)
    }

    /// Ends by itself after so many requests.
    pub(crate) fn up_to(address: SocketAddr, request: &Request, clients: usize, most: u64) -> Self {
        let mut traffic =
            Self { stop: Arc::default(), done: Arc::default(), counts: Arc::default(), clients: JoinSet::new() };
        let begun = Arc::new(AtomicU64::new(0));
        for _ in 0..clients {
            let (stop, done) = (Arc::clone(&traffic.stop), Arc::clone(&traffic.done));
            let (counts, begun, request) = (Arc::clone(&traffic.counts), Arc::clone(&begun), request.clone());
            traffic.clients.spawn(async move {
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) && begun.fetch_add(1, Ordering::Relaxed) < most {
                    let outcome = send(&mut connection, address, &request).await;
                    *counts.lock().expect("the counts").entry(outcome).or_default() += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        traffic
    }

    /// Waits until as many requests more are done.
    pub(crate) async fn more(&self, requests: u64) {
        let goal = self.done.load(Ordering::Relaxed) + requests;
        wait::until("more requests", async || (self.done.load(Ordering::Relaxed) >= goal).then_some(())).await;
    }

    /// Waits until this has been the answer to more requests than now.
    pub(crate) async fn again(&self, outcome: &str) {
        let count = || self.counts.lock().expect("the counts").get(outcome).copied().unwrap_or_default();
        let before = count();
        wait::until(outcome, async || (count() > before).then_some(())).await;
    }

    /// Ends the clients after the request that each is at.
    pub(crate) async fn stop(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    /// Waits for the clients.
    pub(crate) async fn finish(self) -> Counts {
        self.clients.join_all().await;
        std::mem::take(&mut *self.counts.lock().expect("the counts"))
    }
}

/// On the connection that there is, unless the proxy has closed it.
async fn send(connection: &mut Option<Connection>, address: SocketAddr, request: &Request) -> String {
    if connection.as_ref().is_none_or(|connection| !connection.is_open()) {
        *connection = match Connection::open(address, Protocol::Http1).await {
            Ok(connection) => Some(connection),
            Err(error) => return error,
        };
    }
    let Some(open) = connection else { return "no connection".to_owned() };
    match open.send(request).await {
        Ok(answer) if answer.status == 200 => served_by(&answer),
        Ok(answer) => format!("{} {}", answer.status, answer.body),
        Err(error) => {
            *connection = None;
            format!("{error:?}")
        }
    }
}

/// `SERVICE/VERSION` of an echo server's answer.
pub(crate) fn served_by(answer: &Answer) -> String {
    let echo = echoed(answer);
    let text = |key: &str| echo[key].as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text("service"), text("version"))
}

/// What an echo server says; `null` if none has answered. In a gRPC reply it is the value of the message.
pub(crate) fn echoed(answer: &Answer) -> Value {
    let begin = answer.body.find(r#"{"service":"#);
    begin.and_then(|begin| serde_json::from_str(&answer.body[begin..]).ok()).unwrap_or_default()
}
