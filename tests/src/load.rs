//! Many requests or gRPC calls: over a few connections, until enough of them or until stopped, or all at the same time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time};

use crate::{
    client::{Answer, Connection, Protocol, Request, SendError},
    grpc::{self, Called},
    upstream::{ECHO, VERSION_HEADER},
    wait,
};

/// The number of requests that end within [`wait::PATIENCE`] unless something hangs.
const STEP: usize = 500;

/// Requests at the same time on one HTTP/2 connection.
const STREAMS: usize = 100;

/// The response header by which configurations of tests name the version that answered.
pub const ANSWERED_BY: &str = "x-answer";

/// The kind of the requests of a load.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A request.
    Http(Protocol, Request),
    /// A unary gRPC call of the service of this name.
    Unary(String),
    /// A server-streaming gRPC call of the service of this name.
    Stream(String),
}

/// The kind of the requests of a load, and the response headers that must name the version that answered. Otherwise a
/// response counts as a failure.
#[derive(Debug, Clone)]
pub struct CheckedKind {
    kind: Kind,
    version_headers: &'static [&'static str],
}

impl Kind {
    /// Requests of this kind whose responses must name the version in these headers.
    #[must_use]
    pub const fn reporting(self, version_headers: &'static [&'static str]) -> CheckedKind {
        CheckedKind { kind: self, version_headers }
    }
}

impl From<&Kind> for CheckedKind {
    fn from(kind: &Kind) -> Self {
        kind.clone().reporting(&[])
    }
}

/// The results of the requests so far.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Responses with status 200, by upstream.
    pub served_by: BTreeMap<String, u64>,
    /// Responses with other statuses, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Responses with other statuses, and broken connections.
    pub failures: Vec<String>,
    /// Opened connections.
    pub connections: u64,
    /// The duration of each response with status 200.
    pub durations: Vec<Duration>,
}

impl Outcome {
    fn take(&mut self, answer: Answer, took: Duration, reports: &[&str]) {
        if answer.status == 200 {
            match wrong_report(&answer.served_by, reports, |name| answer.values(name)) {
                None => self.serve(answer.served_by, took),
                Some(wrong) => self.failures.push(wrong),
            }
        } else {
            *self.refused.entry(answer.status).or_default() += 1;
            self.failures.push(format!("{answer:?}"));
        }
    }

    fn serve(&mut self, name: String, took: Duration) {
        *self.served_by.entry(name).or_default() += 1;
        self.durations.push(took);
    }

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

    /// All requests, the failed ones included.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.successes() + self.failures.len() as u64
    }

    /// Requests with an answer of status 200.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.served_by.values().sum()
    }
}

/// Upstreams of version v3 are named `v3`, or `v3-a`, `v3-b` if there are several.
fn is_of_version(upstream: &str, version: &str) -> bool {
    upstream.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The error in the headers that must name the version that answered. `None` if they are right.
fn wrong_report(served_by: &str, headers: &[&str], values: impl Fn(&str) -> Vec<String>) -> Option<String> {
    headers.iter().find_map(|name| {
        let found = values(name);
        let is_right = matches!(&*found, [version] if is_of_version(served_by, version));
        (!is_right).then(|| format!("{served_by} has answered, {name} is {found:?}"))
    })
}

/// Requests in flight. They end when this is dropped.
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
        Self::spawn(address, Kind::Http(protocol, get.clone()).reporting(&[]), connections, requests, Duration::ZERO)
    }

    /// The same for requests of any kind.
    #[must_use]
    pub fn of(address: SocketAddr, kind: impl Into<CheckedKind>, connections: u64, requests: u64) -> Self {
        Self::spawn(address, kind.into(), connections, requests, Duration::ZERO)
    }

    /// Sends on each of `connections` connections, with a `pause` after each answer, until it is stopped.
    #[must_use]
    pub fn paced(address: SocketAddr, kind: impl Into<CheckedKind>, connections: u64, pause: Duration) -> Self {
        Self::spawn(address, kind.into(), connections, u64::MAX, pause)
    }

    fn spawn(address: SocketAddr, kind: CheckedKind, connections: u64, requests: u64, pause: Duration) -> Self {
        let left = Arc::new(AtomicU64::new(requests));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (left, outcome, stop) = (Arc::clone(&left), Arc::clone(&outcome), Arc::clone(&stop));
            let mut client = Client { address, checked: kind.clone(), connection: None, channel: None };
            workers.spawn(async move {
                while !stop.load(Ordering::Relaxed)
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
                {
                    client.go(&outcome).await;
                    if !pause.is_zero() {
                        time::sleep(pause).await;
                    }
                }
            });
        }
        Self { outcome, stop, workers }
    }

    /// The results so far.
    ///
    /// # Panics
    /// If a worker has panicked.
    #[must_use]
    pub fn so_far(&self) -> Outcome {
        self.outcome.lock().expect("no worker has panicked").clone()
    }

    /// Waits until `condition` holds for the results so far.
    pub async fn until(&self, what: &str, condition: impl Fn(&Outcome) -> bool) {
        wait::until(what, async || condition(&self.outcome.lock().expect("no worker has panicked")).then_some(()))
            .await;
    }

    /// Waits until `count` more requests have been answered or have failed.
    pub async fn go_on_for(&self, count: u64) {
        let begin = self.so_far().all();
        for goal in (begin..begin + count).step_by(STEP).skip(1).chain([begin + count]) {
            self.until(&format!("{count} more requests"), |outcome| outcome.all() >= goal).await;
        }
    }

    /// Sends no more requests, and waits for those in flight.
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

/// Sends requests one by one. Opens a connection if there is none.
struct Client {
    address: SocketAddr,
    checked: CheckedKind,
    connection: Option<Connection>,
    channel: Option<grpc::Client>,
}

impl Client {
    async fn go(&mut self, outcome: &Mutex<Outcome>) {
        match self.checked.kind.clone() {
            Kind::Http(protocol, request) => self.request(protocol, &request, outcome).await,
            Kind::Unary(authority) => self.call(&authority, false, outcome).await,
            Kind::Stream(authority) => self.call(&authority, true, outcome).await,
        }
    }

    async fn call(&mut self, authority: &str, streams: bool, outcome: &Mutex<Outcome>) {
        let begin = Instant::now();
        let called = self.try_call(authority, streams, outcome).await;
        note(outcome, |outcome| match called {
            Ok(name) => outcome.serve(name, begin.elapsed()),
            Err(error) => outcome.failures.push(error),
        });
    }

    /// The name of the version that answered.
    async fn try_call(&mut self, authority: &str, streams: bool, outcome: &Mutex<Outcome>) -> Result<String, String> {
        if self.channel.is_none() {
            self.channel = Some(grpc::Client::open(self.address, authority).await?);
            note(outcome, |outcome| outcome.connections += 1);
        }
        let Some(channel) = &mut self.channel else { return Err("no connection".to_owned()) };
        let echo = [(ECHO, VERSION_HEADER)];
        let called =
            if streams { channel.stream(grpc::LIST, &echo).await } else { channel.unary(grpc::GET, &echo).await };
        let Called { messages, metadata } = called.map_err(|status| status.to_string())?;
        let count = if streams { grpc::MESSAGES } else { 1 };
        let name =
            messages.first().filter(|name| messages.len() == count && messages.iter().all(|other| other == *name));
        let Some(name) = name else { return Err(format!("messages of a call: {messages:?}")) };
        let values = |name: &str| {
            let values = metadata.get_all(name).iter();
            values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
        };
        wrong_report(name, self.checked.version_headers, values).map_or_else(|| Ok(name.clone()), Err)
    }

    /// Sends one request. Opens a connection if there is none, and drops one that the server wants to close. Like every client
    /// it uses another connection if the server closed this one before the request was sent.
    async fn request(&mut self, protocol: Protocol, request: &Request, outcome: &Mutex<Outcome>) {
        let begin = Instant::now();
        let mut kept = self.connection.take().filter(Connection::is_open);
        loop {
            let reused = kept.is_some();
            let mut current = match kept.take() {
                Some(open) => open,
                None => match Connection::open(self.address, protocol).await {
                    Ok(opened) => {
                        note(outcome, |outcome| outcome.connections += 1);
                        opened
                    }
                    Err(error) => return note(outcome, |outcome| outcome.failures.push(error)),
                },
            };
            match current.send(request).await {
                Ok(answer) => {
                    self.connection = (!answer.closes).then_some(current);
                    return note(outcome, |outcome| {
                        outcome.take(answer, begin.elapsed(), self.checked.version_headers)
                    });
                }
                Err(SendError::NotSent(_)) if reused => {}
                Err(error) => return note(outcome, |outcome| outcome.failures.push(format!("{error:?}"))),
            }
        }
    }
}

fn note(outcome: &Mutex<Outcome>, change: impl FnOnce(&mut Outcome)) {
    change(&mut outcome.lock().expect("no worker has panicked"));
}

/// Sends `count` requests at the same time: over HTTP/2 with up to a hundred on each connection, over HTTP/1.1 with one
/// on each. Returns each response with its duration.
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
