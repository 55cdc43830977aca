//! The server behind `canaryctl echo`, also run in-process by `canaryctl run`.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{
    calls::{self, CallReport, CallUrl},
    directives::Directives,
};
use crate::{address::HostPort, serve};

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
}

/// An echo server that has its port and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    echo: Arc<Echo>,
}

impl Server {
    /// Takes the port; port 0 stands for any free one.
    ///
    /// # Errors
    /// When `listen` cannot be resolved, or its port is taken.
    pub async fn bind(listen: &str, echo: Echo) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, echo: Arc::new(echo) })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then answers what is under way (10 s at most).
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let echo = self.echo;
        serve::serve(self.listener, move |request| answer(Arc::clone(&echo), request), stop).await;
    }
}

/// The body of every answer.
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

async fn answer(echo: Arc<Echo>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, mut body) = request.into_parts();
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
    response(wishes.status, &head.method, &answer)
}

/// Every header line, bytes that are no UTF-8 replaced by U+FFFD.
fn lines(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn response(status: StatusCode, method: &Method, answer: &Answer<'_>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let bodiless = method == Method::CONNECT || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let (false, Ok(mut body)) = (bodiless, serde_json::to_vec(answer)) {
        body.push(b'\n');
        *response.body_mut() = Full::from(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
