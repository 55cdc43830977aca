//! The server behind `canaryctl echo`, also run in-process by `canaryctl run`.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{
    body::Body,
    calls::{self, CallReport, CallUrl},
    directives::Directives,
    grpc,
};
use crate::{address::HostPort, console, serve};

/// Where an echo server says whether it takes requests.
pub(crate) const HEALTH: &str = "/healthz";

/// What an echo server answers as, and whom it calls on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Name of the service.
    pub service: String,
    /// Version of the service.
    pub version: String,
    /// URLs to call for every request, in this order.
    pub calls: Vec<CallUrl>,
    /// Where every call connects to, whatever the host of its URL.
    pub via: Option<HostPort>,
    /// Whether each answered request is printed: method, authority and path, status, and whether it was a mirror's copy.
    pub log: bool,
    /// How long new requests are answered after the server was told to stop.
    pub drain: Duration,
}

/// The mark of a mirrored request, as the proxy's routes set it.
const COPY: &str = "x-canary-shadow";

/// An echo server that has its port and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    echo: Arc<Echo>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// Takes the port; port 0 stands for any free one.
    ///
    /// # Errors
    /// When `listen` cannot be resolved, or its port is taken.
    pub async fn bind(listen: &str, echo: Echo) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, echo: Arc::new(echo), stopping: Arc::default() })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, and for the time of [`Echo::drain`] from then on, so that whoever asks for its health
    /// learns of it before a request is refused; then answers what is under way (10 s at most).
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, echo, stopping, .. } = self;
        let (told, drain) = (Arc::clone(&stopping), echo.drain);
        let stop = async move {
            stop.await;
            told.store(true, Ordering::Relaxed);
            tokio::time::sleep(drain).await;
        };
        let answer = move |request| answer(Arc::clone(&echo), Arc::clone(&stopping), request);
        serve::serve(listener, answer, stop).await;
    }
}

/// The content of every answer.
#[derive(Serialize)]
struct Answer<'a> {
    service: &'a str,
    version: &'a str,
    method: &'a str,
    path: &'a str,
    authority: &'a str,
    headers: Vec<(&'a str, String)>,
    calls: Vec<CallReport>,
}

async fn answer(echo: Arc<Echo>, stopping: Arc<AtomicBool>, request: Request<Incoming>) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    if head.uri.path() == HEALTH {
        return health(stopping.load(Ordering::Relaxed));
    }
    // The whole request is read before the answer, so that a client that still sends is not cut off.
    while let Some(Ok(_)) = body.frame().await {}
    let wishes = Directives::parse(head.uri.path());
    tokio::time::sleep(wishes.delay).await;
    let mut reports = Vec::with_capacity(echo.calls.len());
    for url in &echo.calls {
        reports.push(calls::call(url, echo.via.as_ref(), &head.headers).await);
    }
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let host = String::from_utf8_lossy(host);
    let answer = Answer {
        service: &echo.service,
        version: &echo.version,
        method: head.method.as_str(),
        path: head.uri.path_and_query().map_or("", |target| target.as_str()),
        authority: head.uri.authority().map_or(&*host, |authority| authority.as_str()),
        headers: lines(&head.headers),
        calls: reports,
    };
    if echo.log {
        answer.log(wishes.status, head.headers.contains_key(COPY));
    }
    response(wishes.status, &head.method, grpc::is_call(&head.headers), &answer)
}

fn health(is_stopping: bool) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    if is_stopping {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

impl Answer<'_> {
    fn log(&self, status: StatusCode, is_copy: bool) {
        let Self { method, authority, path, .. } = self;
        let copy = if is_copy { " (mirrored)" } else { "" };
        console::say(format_args!("{method} {authority}{path} {}{copy}", status.as_u16()));
    }
}

/// Every header line, bytes that are no UTF-8 replaced by U+FFFD.
fn lines(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn response(status: StatusCode, method: &Method, is_grpc: bool, answer: &Answer<'_>) -> Response<Body> {
    let bodiless = method == Method::CONNECT || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut response = match serde_json::to_vec(answer) {
        Ok(text) if is_grpc && status == StatusCode::OK => grpc::reply(&text),
        Ok(mut text) if !bodiless => {
            text.push(b'\n');
            let mut response = Response::new(Full::from(text).boxed_unsync());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        _ => Response::new(Full::default().boxed_unsync()),
    };
    *response.status_mut() = status;
    response
}
