//! Upstreams that answer with their name and keep what they were asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HOST, HeaderValue, UPGRADE},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// The response header in which an upstream names itself.
pub const SERVED_BY: &str = "x-served-by";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// `:authority` or Host.
    pub authority: String,
    /// Every header line in order, names in lower case, without Host.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Recorded {
    /// The values of all lines of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_slice()).collect()
    }
}

/// An HTTP/1.1 and HTTP/2 (prior knowledge) server. Answers 200 with its name in [`SERVED_BY`] and as its body, and
/// takes upgrades, after which it sends back whatever it gets. Ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    server: AbortHandle,
}

impl Upstream {
    /// Listens on a port that the kernel picks.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(accept(listener, name.to_owned(), Arc::clone(&recorded))).abort_handle();
        Self { name: name.to_owned(), address, recorded, server }
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

    /// The requests so far whose header `name` has this value.
    ///
    /// # Panics
    /// If the server has panicked.
    #[must_use]
    pub fn recorded(&self, name: &str, value: &str) -> Vec<Recorded> {
        let recorded = self.recorded.lock().expect("the server has not panicked");
        recorded.iter().filter(|request| request.values(name).contains(&value.as_bytes())).cloned().collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, name: String, recorded: Arc<Mutex<Vec<Recorded>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, name.clone(), Arc::clone(&recorded)));
    }
}

async fn serve(stream: TcpStream, name: String, recorded: Arc<Mutex<Vec<Recorded>>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request, &name, &recorded);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_headers(1000);
    server.http2().max_header_list_size(1024 * 1024);
    // A peer that goes away ends its connection; what that did to requests is the client's to say.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

fn answer(request: Request<Incoming>, name: &str, recorded: &Mutex<Vec<Recorded>>) -> Response<Full<Bytes>> {
    recorded.lock().expect("no panic while recording").push(record(&request));
    let mut response = Response::new(Full::from(name.to_owned()));
    response.headers_mut().insert(SERVED_BY, HeaderValue::from_str(name).expect("a name is a header value"));
    if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(UPGRADE, protocol);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        *response.body_mut() = Full::default();
        tokio::spawn(async move {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                let (mut read, mut write) = io::split(TokioIo::new(upgraded));
                let _ = io::copy(&mut read, &mut write).await;
            }
        });
    }
    response
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
    }
}
