//! Upstreams that answer with their name, obey directives in the path, and record requests.

use std::{
    convert::Infallible,
    future,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time,
};

use crate::{
    directives::{self, Directives, ResponseBody},
    grpc,
};

/// The response header in which an upstream names itself.
pub const SERVED_BY: &str = "x-served-by";
/// The request header that marks the requests of one row of a test.
pub const TEST_ID: &str = "x-test-id";
/// A request header `x-reply-NAME: VALUE` makes a response header `NAME: VALUE`.
pub const REPLY_PREFIX: &str = "x-reply-";
/// A request header that names another one, whose value the upstream sends back in [`ECHOED`].
pub const ECHO: &str = "x-echo";
/// The response header for that value.
pub const ECHOED: &str = "x-echoed";
/// The request header by which the filter names the version for the upstream.
pub const VERSION_HEADER: &str = "x-canary-version";
/// The end of a path whose upgraded connection the upstream closes.
pub const ONCE: &str = "/once";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// `:authority` or Host.
    pub authority: String,
    /// Every header in order, names in lower case, without Host.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Bytes,
}

impl Recorded {
    /// All values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// All values of a header, as text.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.values(name).into_iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// An HTTP/1.1 and HTTP/2 (prior knowledge) server. Answers 200, or what the path asks for ([`Directives`]), with its name
/// in [`SERVED_BY`] and as its body, is the service of [`grpc`], and takes upgrades, after which it sends back whatever it gets; where the path ends in
/// [`ONCE`] it closes the upgraded connection after the first of it. Ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
}

#[derive(Debug)]
struct State {
    name: String,
    recorded: Mutex<Vec<Recorded>>,
    count: AtomicU64,
    hangs: AtomicBool,
    keeps_all: AtomicBool,
    fails_every: AtomicU64,
}

impl Upstream {
    /// Listens on a port that the kernel picks.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            name: name.to_owned(),
            recorded: Mutex::default(),
            count: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
            keeps_all: AtomicBool::new(false),
            fails_every: AtomicU64::new(0),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { name: name.to_owned(), address, state, server }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Records every request from now on, also those without a [`TEST_ID`].
    pub fn keep_all(&self) {
        self.state.keeps_all.store(true, Ordering::Relaxed);
    }

    /// Whether it accepts requests from now on without an answer.
    pub fn hang(&self, hangs: bool) {
        self.state.hangs.store(hangs, Ordering::Relaxed);
    }

    /// Makes one in this number of requests fail with 503, or a gRPC call with UNAVAILABLE. All requests count
    /// for this; 0 for no failures.
    pub fn fail_every(&self, requests: u64) {
        self.state.fails_every.store(requests, Ordering::Relaxed);
    }

    /// The requests so far with this [`TEST_ID`].
    ///
    /// # Panics
    /// If the server has panicked.
    #[must_use]
    pub fn recorded(&self, id: &str) -> Vec<Recorded> {
        let recorded = self.state.recorded.lock().expect("the server has not panicked");
        recorded.iter().filter(|request| request.values(TEST_ID).contains(&id.as_bytes())).cloned().collect()
    }

    /// Every request that it has kept.
    ///
    /// # Panics
    /// If the server has panicked.
    #[must_use]
    pub fn kept(&self) -> Vec<Recorded> {
        self.state.recorded.lock().expect("the server has not panicked").clone()
    }

    /// Forgets the requests so far.
    ///
    /// # Panics
    /// If the server has panicked.
    pub fn forget(&self) {
        self.state.recorded.lock().expect("the server has not panicked").clear();
        self.state.count.store(0, Ordering::Relaxed);
    }

    /// The number of requests so far, since the last [`forget`](Self::forget).
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_headers(1000);
    server.http2().max_header_list_size(1024 * 1024).max_concurrent_streams(None);
    // A peer may close its connection. The client reports failed requests.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: &State) -> Response<ResponseBody> {
    let mut recorded = record(&request);
    if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
        state.keep(recorded);
        return upgrade(request, protocol, state);
    }
    let (head, body) = request.into_parts();
    recorded.body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = Full::new(recorded.body.clone());
    let fails = state.fails(state.keep(recorded));
    if state.hangs.load(Ordering::Relaxed) {
        future::pending::<()>().await;
    }
    let directives = Directives::parse(head.uri.path());
    time::sleep(directives.delay).await;
    let called = grpc::answer(&state.name, fails, Request::from_parts(head.clone(), body)).await;
    let mut response = called.unwrap_or_else(|| {
        let mut response = directives.response(&state.name);
        if fails {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    });
    for (name, value) in &head.headers {
        if let Some(name) = name.as_str().strip_prefix(REPLY_PREFIX) {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("the rest of a header name");
            response.headers_mut().append(name, value.clone());
        }
    }
    if let Some(value) = head.headers.get(ECHO).and_then(|name| head.headers.get(name.to_str().ok()?)) {
        response.headers_mut().insert(ECHOED, value.clone());
    }
    response.headers_mut().insert(SERVED_BY, state.name_value());
    response
}

async fn echo(stream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (mut read, mut write) = io::split(stream);
    io::copy(&mut read, &mut write).await.map(drop)
}

/// Echoes the first data, and closes in order.
async fn echo_once(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).await?;
    stream.write_all(&buffer[..length]).await?;
    stream.shutdown().await
}

fn upgrade(request: Request<Incoming>, protocol: HeaderValue, state: &State) -> Response<ResponseBody> {
    let mut response = Response::new(directives::body(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(SERVED_BY, state.name_value());
    response.headers_mut().insert(UPGRADE, protocol);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let is_once = request.uri().path().ends_with(ONCE);
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await.map(TokioIo::new) {
            // The client may have left.
            let _ = if is_once { echo_once(upgraded).await } else { echo(upgraded).await };
        }
    });
    response
}

impl State {
    /// Counts a request, and records it if needed. Returns its number, from 1.
    fn keep(&self, request: Recorded) -> u64 {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if self.keeps_all.load(Ordering::Relaxed) || !request.values(TEST_ID).is_empty() {
            self.recorded.lock().expect("no panic while recording").push(request);
        }
        before + 1
    }

    fn fails(&self, number: u64) -> bool {
        let every = self.fails_every.load(Ordering::Relaxed);
        every > 0 && number.is_multiple_of(every)
    }

    fn name_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.name).expect("a name is a header value")
    }
}

fn record(request: &Request<Incoming>) -> Recorded {
    let host = request.headers().get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Recorded {
        method: request.method().to_string(),
        path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        authority: request.uri().authority().map(ToString::to_string).or(host).unwrap_or_default(),
        headers: request
            .headers()
            .iter()
            .filter(|(name, _)| *name != HOST)
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body: Bytes::new(),
    }
}
