//! Many requests: over a few connections, bounded in number and time, or all at the same time.

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
    client::{Answer, Connection, Protocol, Request, SendError},
    wait,
};

/// No load goes on for longer, whatever its test does.
const LONGEST: Duration = Duration::from_secs(40);

/// Requests at the same time on one HTTP/2 connection.
const STREAMS: usize = 100;

/// What came of the requests so far.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Answers with status 200 by the upstream that gave them.
    pub served_by: BTreeMap<String, u64>,
    /// Answers with other statuses, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Everything else than status 200: those answers, and broken connections.
    pub failures: Vec<String>,
    /// Connections that had to be opened.
    pub connections: u64,
    /// How long each answer with status 200 took.
    pub durations: Vec<Duration>,
}

impl Outcome {
    /// Requests that an upstream of this name answered.
    #[must_use]
    pub fn served(&self, upstream: &str) -> u64 {
        self.served_by.get(upstream).copied().unwrap_or(0)
    }

    /// The duration that 99 % of the answers with status 200 did not exceed.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn p99(&self) -> Duration {
        let mut durations = self.durations.clone();
        durations.sort();
        durations[durations.len() * 99 / 100]
    }

    /// Requests answered with this status, which is not 200.
    #[must_use]
    pub fn refused(&self, status: u16) -> u64 {
        self.refused.get(&status).copied().unwrap_or(0)
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
    let begin = Instant::now();
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
                let took = begin.elapsed();
                note(&|outcome| {
                    *outcome.served_by.entry(answer.served_by.clone()).or_default() += 1;
                    outcome.durations.push(took);
                });
                *connection = (!answer.closes).then_some(current);
                return;
            }
            Ok(answer) => {
                note(&|outcome| {
                    *outcome.refused.entry(answer.status).or_default() += 1;
                    outcome.failures.push(format!("{answer:?}"));
                });
                *connection = (!answer.closes).then_some(current);
                return;
            }
            Err(SendError::NotSent(_)) if reused => {}
            Err(error) => return note(&|outcome| outcome.failures.push(format!("{error:?}"))),
        }
    }
}

/// Sends `count` requests at the same time: over HTTP/2 on as few connections as take a hundred each, over HTTP/1.1 on one
/// each. Gives each answer with the time it took.
///
/// # Panics
/// If one has none.
pub async fn burst(
    address: SocketAddr,
    protocol: Protocol,
    request: &Request,
    count: usize,
) -> Vec<(Duration, Answer)> {
    let mut connections: Vec<Connection> = Vec::new();
    for number in 0..count {
        let shared = connections.last().filter(|_| number % STREAMS != 0).and_then(Connection::shared);
        connections.push(match shared {
            Some(connection) => connection,
            None => Connection::open(address, protocol).await.expect("a connection"),
        });
    }
    let mut clients = JoinSet::new();
    for mut connection in connections {
        let request = request.clone();
        clients.spawn(async move {
            let begin = Instant::now();
            let answer = connection.send(&request).await.expect("an answer");
            (begin.elapsed(), answer)
        });
    }
    clients.join_all().await
}
