//! Many requests over a few connections, bounded in number and time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    client::{Connection, Protocol, Request, SendError},
    wait,
};

/// No load goes on for longer, whatever its test does.
const LONGEST: Duration = Duration::from_secs(40);

/// What came of the requests so far.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Answers with status 200 by the upstream that gave them.
    pub served_by: BTreeMap<String, u64>,
    /// Everything else: other statuses, broken connections.
    pub failures: Vec<String>,
    /// Connections that had to be opened.
    pub connections: u64,
}

impl Outcome {
    /// Requests that an upstream of this name answered.
    #[must_use]
    pub fn served(&self, upstream: &str) -> u64 {
        self.served_by.get(upstream).copied().unwrap_or(0)
    }

    /// Requests with an answer of status 200.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.served_by.values().sum()
    }
}

/// Requests under way.
#[derive(Debug)]
pub struct Load {
    outcome: Arc<Mutex<Outcome>>,
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl Load {
    /// Sends `get` over and over, `requests` times in all, one after the other on each of `connections` connections.
    #[must_use]
    pub fn start(address: SocketAddr, protocol: Protocol, get: &Request, connections: u64, requests: u64) -> Self {
        let left = Arc::new(AtomicU64::new(requests));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (left, outcome, stop, get) = (Arc::clone(&left), Arc::clone(&outcome), Arc::clone(&stop), get.clone());
            workers.spawn(async move {
                let begin = Instant::now();
                let mut connection = None;
                while !stop.load(Ordering::Relaxed)
                    && begin.elapsed() < LONGEST
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
                {
                    request(address, protocol, &get, &mut connection, &outcome).await;
                }
            });
        }
        Self { outcome, stop, workers }
    }

    /// What came of it so far.
    ///
    /// # Panics
    /// If a worker has panicked.
    #[must_use]
    pub fn so_far(&self) -> Outcome {
        self.outcome.lock().expect("no worker has panicked").clone()
    }

    /// Waits until `condition` holds of what came of it so far.
    pub async fn until(&self, what: &str, condition: impl Fn(&Outcome) -> bool) {
        wait::until(what, async || condition(&self.so_far()).then_some(())).await;
    }

    /// Waits until `count` more requests have been answered or have failed.
    pub async fn go_on_for(&self, count: u64) {
        let done = |outcome: &Outcome| outcome.successes() + outcome.failures.len() as u64;
        let goal = done(&self.so_far()) + count;
        self.until(&format!("{count} more requests"), |outcome| done(outcome) >= goal).await;
    }

    /// Lets the requests under way come to their end and no others begin.
    pub async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    /// Waits for all requests.
    pub async fn finish(mut self) -> Outcome {
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("no worker panics");
        }
        self.so_far()
    }
}

/// One request; connects when there is no connection, and lets go of one that the server wants closed. As every client
/// does, it takes another connection where the server closed this one before the request went out.
async fn request(
    address: SocketAddr,
    protocol: Protocol,
    get: &Request,
    connection: &mut Option<Connection>,
    outcome: &Mutex<Outcome>,
) {
    let note = |change: &dyn Fn(&mut Outcome)| change(&mut outcome.lock().expect("no worker has panicked"));
    let mut kept = connection.take().filter(Connection::is_open);
    loop {
        let reused = kept.is_some();
        let mut current = match kept.take() {
            Some(open) => open,
            None => match Connection::open(address, protocol).await {
                Ok(opened) => {
                    note(&|outcome| outcome.connections += 1);
                    opened
                }
                Err(error) => return note(&|outcome| outcome.failures.push(error.clone())),
            },
        };
        match current.send(get).await {
            Ok(answer) if answer.status == 200 => {
                note(&|outcome| *outcome.served_by.entry(answer.served_by.clone()).or_default() += 1);
                *connection = (!answer.closes).then_some(current);
                return;
            }
            Ok(answer) => return note(&|outcome| outcome.failures.push(format!("{answer:?}"))),
            Err(SendError::NotSent(_)) if reused => {}
            Err(error) => return note(&|outcome| outcome.failures.push(format!("{error:?}"))),
        }
    }
}
