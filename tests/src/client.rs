//! Clients that keep a connection and can send any byte that a header may carry.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Response, Uri,
    body::{Body, Incoming},
    client::conn::{TrySendError, http1, http2},
    header::{CONNECTION, HOST, HeaderName, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;

use crate::upstream::SERVED_BY;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// A request: GET, unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    authority: String,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Request {
    /// A GET request without headers of its own.
    #[must_use]
    pub fn new(authority: &str, path: &str) -> Self {
        Self {
            method: Method::GET,
            authority: authority.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes another method.
    ///
    /// # Panics
    /// If it may not stand in HTTP.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.parse().expect("a method");
        self
    }

    /// Takes a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header line; an equal name makes a second line.
    ///
    /// # Panics
    /// If a name or value may not stand in HTTP; bytes from 0x80 on may.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.headers.push((name, value));
        self
    }

    /// Its pseudo-headers and headers, as a proxy's filters see them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, Vec<u8>)> {
        let pseudo = [
            (":authority", self.authority.as_str()),
            (":path", self.path.as_str()),
            (":method", self.method.as_str()),
            (":scheme", "http"),
        ];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        pseudo.into_iter().chain(headers).collect()
    }

    /// Its bytes in HTTP/1.1; it must have no body.
    #[must_use]
    pub fn to_http1(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.authority).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    fn for_protocol(&self, protocol: Protocol) -> hyper::Request<Full<Bytes>> {
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        match protocol {
            Protocol::Http1 => {
                *request.uri_mut() = self.path.parse().expect("a path");
                request.headers_mut().insert(HOST, HeaderValue::from_str(&self.authority).expect("a host"));
            }
            Protocol::Http2 => {
                let parts =
                    Uri::builder().scheme("http").authority(self.authority.as_str()).path_and_query(self.path.as_str());
                *request.uri_mut() = parts.build().expect("a URI");
            }
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        request
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The name of the upstream that answered; empty if none did.
    pub served_by: String,
    /// Every header line.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// The trailers; `None` where there are none.
    pub trailers: Option<HeaderMap>,
    /// Whether the answer ended with its headers.
    pub headers_only: bool,
    /// Whether the server asked for the connection to be closed.
    pub closes: bool,
}

impl Answer {
    /// The values of all lines of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| lossy(value.as_bytes())).collect()
    }
}

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// HTTP/1.1.
    Http1(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2.
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Why not.
    pub async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        Self::open_from(Ipv4Addr::UNSPECIFIED, address, protocol).await
    }

    /// Connects from this address, such as another one of 127.0.0.0/8.
    ///
    /// # Errors
    /// Why not.
    pub async fn open_from(source: Ipv4Addr, address: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        let socket = TcpSocket::new_v4().map_err(|error| format!("a socket: {error}"))?;
        if !source.is_unspecified() {
            socket.bind((source, 0).into()).map_err(|error| format!("bind {source}: {error}"))?;
        }
        let stream = socket.connect(address).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("nodelay: {error}"))?;
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(|error| format!("handshake: {error}"))?;
                tokio::spawn(connection.with_upgrades());
                Ok(Self::Http1(sender))
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(|error| format!("handshake: {error}"))?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    /// The same connection once more, for another request at the same time; HTTP/2 only.
    #[must_use]
    pub fn shared(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What broke, the connection included.
    pub async fn send(&mut self, request: &Request) -> Result<Answer, SendError> {
        let response = self.respond(request).await?;
        let (head, body) = response.into_parts();
        let header = |name: &str| head.headers.get(name).map_or_else(String::new, |value| lossy(value.as_bytes()));
        let (served_by, closes) = (header(SERVED_BY), header(CONNECTION.as_str()).eq_ignore_ascii_case("close"));
        let headers_only = body.is_end_stream();
        let body = body.collect().await.map_err(|error| SendError::Broken(format!("read the body: {error}")))?;
        let trailers = body.trailers().cloned();
        Ok(Answer {
            status: head.status.as_u16(),
            served_by,
            headers: head.headers,
            body: lossy(&body.to_bytes()),
            trailers,
            headers_only,
            closes,
        })
    }

    /// Whether the server still takes requests on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Http1(sender) => !sender.is_closed(),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }

    async fn respond(&mut self, request: &Request) -> Result<Response<Incoming>, SendError> {
        macro_rules! send {
            ($sender:expr, $protocol:expr) => {{
                $sender.ready().await.map_err(|error| SendError::NotSent(format!("connection lost: {error}")))?;
                $sender.try_send_request(request.for_protocol($protocol)).await.map_err(SendError::from)
            }};
        }
        match self {
            Self::Http1(sender) => send!(sender, Protocol::Http1),
            Self::Http2(sender) => send!(sender, Protocol::Http2),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum SendError {
    /// The server closed the connection before anything of the request went out: another connection will do.
    NotSent(String),
    /// The server may have got the request.
    Broken(String),
}

impl<T> From<TrySendError<T>> for SendError {
    fn from(mut error: TrySendError<T>) -> Self {
        let unsent = error.take_message().is_some();
        let reason = format!("send: {}", error.into_error());
        if unsent { Self::NotSent(reason) } else { Self::Broken(reason) }
    }
}

/// Sends one request on a connection of its own.
///
/// # Panics
/// If there is no answer.
pub async fn send(address: SocketAddr, protocol: Protocol, request: &Request) -> Answer {
    let mut connection = Connection::open(address, protocol).await.expect("a connection");
    connection.send(request).await.expect("an answer")
}

/// The same where there may be no answer yet.
pub async fn ask(address: SocketAddr, protocol: Protocol, request: &Request) -> Option<Answer> {
    let mut connection = Connection::open(address, protocol).await.ok()?;
    connection.send(request).await.ok()
}

/// Upgrades an HTTP/1.1 connection to a WebSocket; gives the raw stream and the name of the upstream.
///
/// # Panics
/// If the answer is not 101.
pub async fn open_websocket(address: SocketAddr, request: Request) -> (TokioIo<Upgraded>, String) {
    let request = request
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut connection = Connection::open(address, Protocol::Http1).await.expect("a connection");
    let response = connection.respond(&request).await.expect("an answer");
    assert_eq!(response.status(), 101, "the upgrade is taken");
    let served_by = response.headers().get(SERVED_BY).map_or_else(String::new, |value| lossy(value.as_bytes()));
    (TokioIo::new(hyper::upgrade::on(response).await.expect("an upgraded connection")), served_by)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
