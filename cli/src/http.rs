//! One HTTP/1.1 request on a connection of its own, its answer read as a whole.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, Response, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};

/// The longest body that [`send`] reads, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Why there is no answer from [`send`] or [`get`].
#[derive(Debug)]
pub(crate) enum SendError {
    /// There is no such request.
    Request(hyper::http::Error),
    /// No TCP connection.
    Connect(std::io::Error),
    /// The exchange broke.
    Exchange(hyper::Error),
    /// The body broke off, or is longer than 16 MiB.
    Body(Box<dyn Error + Send + Sync>),
    /// No complete answer in time.
    TimedOut(Duration),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "cannot ask: {error}"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Exchange(error) => write!(f, "no answer: {error}"),
            Self::Body(error) => write!(f, "incomplete answer: {error}"),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
        }
    }
}

impl Error for SendError {}

/// The answer to `GET path` of the server that calls itself `host`, as by [`send`].
pub(crate) async fn get(
    address: impl ToSocketAddrs,
    host: &str,
    path: &str,
    limit: Duration,
) -> Result<Response<Bytes>, SendError> {
    let request = Request::get(path).header(HOST, host).body(Empty::new()).map_err(SendError::Request)?;
    send(address, request, limit).await
}

/// Connects to `address`, sends a request without a body, and reads the answer to its end within `limit`.
pub(crate) async fn send(
    address: impl ToSocketAddrs,
    request: Request<Empty<Bytes>>,
    limit: Duration,
) -> Result<Response<Bytes>, SendError> {
    tokio::time::timeout(limit, exchange(address, request)).await.unwrap_or(Err(SendError::TimedOut(limit)))
}

async fn exchange(address: impl ToSocketAddrs, request: Request<Empty<Bytes>>) -> Result<Response<Bytes>, SendError> {
    let stream = TcpStream::connect(address).await.map_err(SendError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(SendError::Exchange)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(SendError::Exchange)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(SendError::Body)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        // A connection that ends first has told its sender why.
        _ = &mut connection => answer.await,
    }
}
