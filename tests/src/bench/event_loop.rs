//! The clients and the upstreams of a proxy in one thread. No thread switch delays a response, and a
//! request that is due is sent within microseconds.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

use super::{
    amount::Amount,
    wire::{self, Answer},
};
use crate::{client::Request, wait::PATIENCE};

const EVENTS: usize = 64;
/// Larger than any request or answer.
const BUFFER: usize = 128 * 1024;
/// How long a thread that does not spin sleeps between two rounds.
const NAP: Duration = Duration::from_micros(100);
/// How many failures are described.
const MAX_DESCRIBED: usize = 10;

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As soon as a connection is free.
    Saturate,
    /// When they are due.
    Steady {
        /// Requests per second, at equal distances.
        per_second: f64,
        /// Whether the thread has its core for itself and never sleeps.
        spins: bool,
    },
}

/// The results of requests.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests with the right response.
    pub requests: u64,
    /// Failed requests.
    pub failed: u64,
    /// Descriptions of the first of those.
    pub failures: Vec<String>,
    /// At a steady pace: from when each request was due until its answer, in microseconds.
    pub waits: Vec<f64>,
}

/// Connections that send the same request.
#[derive(Debug, Default)]
pub struct Clients {
    sockets: Vec<usize>,
    request: Vec<u8>,
    served_by: Vec<u8>,
}

/// The clients and upstreams of one thread.
#[derive(Debug)]
pub struct EventLoop {
    epoll: OwnedFd,
    sockets: Vec<Socket>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    /// Takes connections for an upstream that answers this.
    Listener {
        listener: TcpListener,
        response: Vec<u8>,
    },
    /// A connection to an upstream: what came of the request so far, of which the last bytes count only.
    Upstream {
        stream: TcpStream,
        tail: Vec<u8>,
        response: Vec<u8>,
    },
    /// A connection of a client.
    Client {
        stream: TcpStream,
        received: Vec<u8>,
        unsent: Vec<u8>,
        due: Option<Instant>,
    },
    Closed,
}

/// What an event of a socket means for a client.
enum Progress {
    None,
    Answered { answer: Vec<u8>, due: Instant },
    Closed { why: String, was_asked: bool },
}

impl EventLoop {
    pub(super) fn new() -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        Self { epoll, sockets: Vec::new(), buffer: vec![0; BUFFER] }
    }

    /// Starts an upstream of this name: where it listens.
    pub(super) fn listen(&mut self, name: &str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("a listener has an address");
        self.add(Socket::Listener { listener, response: wire::response(name) });
        address
    }

    /// Opens connections for a request that the upstream of this name must answer.
    pub(super) fn connect(&mut self, address: SocketAddr, count: usize, request: &Request, served_by: &str) -> Clients {
        let mut client = || {
            let stream = TcpStream::connect(address).expect("a connection");
            prepare(&stream);
            self.add(Socket::Client { stream, received: Vec::new(), unsent: Vec::new(), due: None })
        };
        let sockets = (0..count).map(|_| client()).collect();
        Clients { sockets, request: request.to_http1(), served_by: wire::served_by_line(served_by) }
    }

    /// The answer to one request, on a connection of its own.
    pub(super) fn ask(&mut self, address: SocketAddr, request: &Request) -> Answer {
        let mut clients = self.connect(address, 1, request, "");
        let socket = clients.sockets.remove(0);
        self.begin(socket, &clients.request, Instant::now());
        let mut answer = None;
        while answer.is_none() {
            for (ready, progress) in self.turn(PATIENCE) {
                match progress {
                    Progress::Answered { answer: bytes, .. } if ready == socket => answer = Some(wire::answer(&bytes)),
                    Progress::Closed { why, .. } if ready == socket => panic!("{why}"),
                    _ => {}
                }
            }
        }
        self.sockets[socket] = Socket::Closed;
        answer.expect("an answer")
    }

    /// Sends requests until there are enough or `stopped` says so, and waits for all answers.
    pub(super) fn send(
        &mut self,
        clients: &mut Clients,
        amount: Amount,
        pace: Pace,
        stopped: impl Fn() -> bool,
    ) -> Traffic {
        let (begin, mut sent, mut under_way) = (Instant::now(), 0, 0_usize);
        let mut traffic = Traffic::default();
        let mut free = clients.sockets.clone();
        loop {
            let now = Instant::now();
            let is_over = sent >= amount.requests || now - begin >= amount.time || stopped();
            while let Some(due) = due(pace, begin, sent, now).filter(|_| !is_over && sent < amount.requests) {
                let Some(socket) = free.pop() else { break };
                self.begin(socket, &clients.request, due);
                (sent, under_way) = (sent + 1, under_way + 1);
            }
            if under_way == 0 && (is_over || clients.sockets.is_empty()) {
                return traffic;
            }
            for (socket, progress) in self.turn(patience(pace)) {
                match progress {
                    _ if !clients.sockets.contains(&socket) => {}
                    Progress::None => {}
                    Progress::Answered { answer, due } => {
                        under_way -= 1;
                        free.push(socket);
                        traffic.note(&answer, due, &clients.served_by, pace);
                    }
                    Progress::Closed { why, was_asked } => {
                        clients.sockets.retain(|other| *other != socket);
                        free.retain(|other| *other != socket);
                        if was_asked {
                            under_way -= 1;
                            traffic.fail(why);
                        }
                    }
                }
            }
        }
    }

    fn begin(&mut self, socket: usize, request: &[u8], at: Instant) {
        let Socket::Client { stream, unsent, due, .. } = &mut self.sockets[socket] else { panic!("a client's socket") };
        assert_eq!(*due, None, "one request at a time");
        *due = Some(at);
        // A connection that broke shows it when it is read.
        let written = stream.write(request).unwrap_or(0);
        if written < request.len() {
            *unsent = request[written..].to_vec();
            self.watch(socket, EventFlags::IN | EventFlags::OUT);
        }
    }

    /// Waits for events, up to a limit, and handles them. Returns the progress of clients.
    fn turn(&mut self, patience: Duration) -> Vec<(usize, Progress)> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let timeout = Timespec::try_from(patience).expect("a short time");
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        assert!(!events.is_empty() || patience < PATIENCE, "no answer within {PATIENCE:?}");
        let mut happened = Vec::new();
        for event in events {
            let socket = usize::try_from({ event.data }.u64()).expect("the index of a socket");
            match self.handle(socket, event.flags) {
                Progress::None => {}
                progress => happened.push((socket, progress)),
            }
        }
        happened
    }

    fn handle(&mut self, socket: usize, flags: EventFlags) -> Progress {
        let Self { sockets, buffer, .. } = self;
        let (mut accepted, mut is_closed, mut is_sent, mut progress) = (Vec::new(), false, false, Progress::None);
        match &mut sockets[socket] {
            Socket::Listener { listener, response } => {
                while let Ok((stream, _)) = listener.accept() {
                    prepare(&stream);
                    accepted.push(Socket::Upstream { stream, tail: Vec::new(), response: response.clone() });
                }
            }
            Socket::Upstream { stream, tail, response } => match stream.read(buffer) {
                Ok(0) => is_closed = true,
                Ok(length) => {
                    tail.extend_from_slice(&buffer[length.saturating_sub(4)..length]);
                    tail.drain(..tail.len().saturating_sub(4));
                    if wire::ends_a_request(tail) {
                        tail.clear();
                        // A proxy that went away shows it when it is read.
                        let _ = stream.write(response);
                    }
                }
                Err(error) => is_closed = error.kind() != ErrorKind::WouldBlock,
            },
            Socket::Client { stream, received, unsent, due } => {
                if flags.contains(EventFlags::OUT) && !unsent.is_empty() {
                    unsent.drain(..stream.write(unsent).unwrap_or(0));
                    is_sent = unsent.is_empty();
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    progress = read(stream, received, due, buffer);
                    is_closed = matches!(progress, Progress::Closed { .. });
                }
            }
            Socket::Closed => {}
        }
        if is_closed {
            sockets[socket] = Socket::Closed;
        } else if is_sent {
            self.watch(socket, EventFlags::IN);
        }
        for socket in accepted {
            self.add(socket);
        }
        progress
    }

    fn add(&mut self, socket: Socket) -> usize {
        let index = self.sockets.len();
        let data = EventData::new_u64(index as u64);
        match &socket {
            Socket::Listener { listener, .. } => epoll::add(&self.epoll, listener.as_fd(), data, EventFlags::IN),
            Socket::Upstream { stream, .. } | Socket::Client { stream, .. } => {
                epoll::add(&self.epoll, stream.as_fd(), data, EventFlags::IN)
            }
            Socket::Closed => Ok(()),
        }
        .expect("watch a socket");
        self.sockets.push(socket);
        index
    }

    fn watch(&self, socket: usize, flags: EventFlags) {
        if let Socket::Client { stream, .. } = &self.sockets[socket] {
            let data = EventData::new_u64(socket as u64);
            epoll::modify(&self.epoll, stream.as_fd(), data, flags).expect("watch a socket");
        }
    }
}

impl Traffic {
    fn note(&mut self, answer: &[u8], due: Instant, served_by: &[u8], pace: Pace) {
        if !wire::is_served_by(answer, served_by) {
            return self.fail(String::from_utf8_lossy(answer).into_owned());
        }
        self.requests += 1;
        if matches!(pace, Pace::Steady { .. }) {
            self.waits.push(due.elapsed().as_secs_f64() * 1e6);
        }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        if self.failures.len() < MAX_DESCRIBED {
            self.failures.push(why);
        }
    }
}

/// When the next request is due, if that is now.
fn due(pace: Pace, begin: Instant, sent: u64, now: Instant) -> Option<Instant> {
    match pace {
        Pace::Saturate => Some(now),
        Pace::Steady { per_second, .. } => {
            Some(begin + Duration::from_secs_f64(sent as f64 / per_second)).filter(|due| *due <= now)
        }
    }
}

/// How long to wait for events.
fn patience(pace: Pace) -> Duration {
    match pace {
        Pace::Saturate => PATIENCE,
        Pace::Steady { spins, .. } => {
            if !spins {
                thread::sleep(NAP);
            }
            Duration::ZERO
        }
    }
}

fn read(stream: &mut TcpStream, received: &mut Vec<u8>, due: &mut Option<Instant>, buffer: &mut [u8]) -> Progress {
    let closed = |why: String| Progress::Closed { why, was_asked: due.is_some() };
    match stream.read(buffer) {
        Ok(0) => return closed("the proxy closed a connection".to_owned()),
        Ok(length) => received.extend_from_slice(&buffer[..length]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::None,
        Err(error) => return closed(format!("a connection broke: {error}")),
    }
    let Some(length) = wire::length_of_answer(received) else { return Progress::None };
    match due.take() {
        Some(due) => Progress::Answered { answer: received.drain(..length).collect(), due },
        None => Progress::Closed { why: "an answer that nobody asked for".to_owned(), was_asked: false },
    }
}

fn prepare(stream: &TcpStream) {
    stream.set_nonblocking(true).expect("a stream that does not block");
    stream.set_nodelay(true).expect("a stream without delay");
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Amount = Amount { time: PATIENCE, requests: 100 };

    fn send(request: &Request, served_by: &str, amount: Amount, pace: Pace) -> Traffic {
        let mut event_loop = EventLoop::new();
        let upstream = event_loop.listen("v1");
        let mut clients = event_loop.connect(upstream, 4, request, served_by);
        event_loop.send(&mut clients, amount, pace, || false)
    }

    #[test]
    fn every_request_has_its_answer() {
        let steady = Pace::Steady { per_second: 10_000.0, spins: false };
        let (small, large) = (Request::new("a", "/"), Request::new("a", "/").header("x-large", vec![b'a'; 100 * 1024]));
        for (name, request, served_by, pace, requests, failed) in [
            ("as many as they can", &small, "v1", Pace::Saturate, 100, 0),
            ("at a pace", &small, "v1", steady, 100, 0),
            ("large ones", &large, "v1", Pace::Saturate, 100, 0),
            ("by another upstream", &small, "v2", Pace::Saturate, 0, 100),
        ] {
            let traffic = send(request, served_by, MANY, pace);
            assert_eq!((traffic.requests, traffic.failed), (requests, failed), "{name}: {:?}", traffic.failures);
            let waits = if matches!(pace, Pace::Saturate) { 0 } else { 100 };
            assert_eq!(traffic.waits.len(), waits, "{name}");
        }
    }

    #[test]
    fn requests_end_when_the_time_is_over() {
        let begin = Instant::now();
        let amount = Amount { time: Duration::from_millis(50), requests: u64::MAX };
        assert!(send(&Request::new("a", "/"), "v1", amount, Pace::Saturate).requests > 0);
        assert!(begin.elapsed() >= amount.time);
    }

    #[test]
    fn a_request_of_its_own_shows_who_answers() {
        let mut event_loop = EventLoop::new();
        let upstream = event_loop.listen("v1");
        let answer = event_loop.ask(upstream, &Request::new("a", "/"));
        assert_eq!(answer, Answer { status: 200, served_by: "v1".to_owned() });
    }
}
