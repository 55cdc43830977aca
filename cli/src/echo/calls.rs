//! The calls that an echo server makes on the way, and what it passes on of the request it got.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{HeaderMap, Request, Response, Uri, header::HOST, http::uri::Authority};
use serde::Serialize;
use serde_json::Value;

use crate::{
    address::HostPort,
    http::{self, SendError},
};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Header names that travel along a call chain: what tracing systems and Istio's Bookinfo sample pass on.
const FORWARDED: [&str; 13] = [
    "x-request-id",
    "b3",
    "traceparent",
    "tracestate",
    "x-ot-span-context",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
    "jwt",
];

/// Prefixes of header names that travel likewise.
const FORWARDED_PREFIXES: [&str; 2] = ["x-b3-", "x-datadog-"];

/// A URL to call: `http://HOST[:PORT][/PATH][?QUERY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUrl {
    text: String,
    authority: Authority,
    target: Uri,
}

impl CallUrl {
    /// Path and query.
    pub(crate) fn target(&self) -> &Uri {
        &self.target
    }

    /// Host, and port where it has one.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Where to connect to.
    pub(crate) fn address(&self) -> (&str, u16) {
        (self.authority.host().trim_matches(['[', ']']), self.authority.port_u16().unwrap_or(80))
    }
}

impl FromStr for CallUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("give an absolute http:// URL, such as http://ratings:9080/ratings/1".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("a user name in the URL is not supported".to_owned());
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            text: text.to_owned(),
            authority: authority.clone(),
            target: target.parse().map_err(|error| format!("not a URL: {error}"))?,
        })
    }
}

impl fmt::Display for CallUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What one call brought, as the echo server reports it.
#[derive(Debug, Serialize)]
pub(super) struct CallReport {
    url: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    /// The status and the body: the JSON value it holds, else its text.
    Answered {
        status: u16,
        body: Value,
    },
    Failed {
        error: String,
    },
}

/// Calls `url` with the `incoming` headers that travel along.
///
/// With `via` (`HOST:PORT`) the connection goes there, while the URL's host stays the Host header.
pub(super) async fn call(url: &CallUrl, via: Option<&HostPort>, incoming: &HeaderMap) -> CallReport {
    let outcome = match send(url, via, incoming).await {
        Ok(answer) => Outcome::Answered { status: answer.status().as_u16(), body: body(answer.body()) },
        Err(error) => Outcome::Failed { error },
    };
    CallReport { url: url.text.clone(), outcome }
}

async fn send(url: &CallUrl, via: Option<&HostPort>, incoming: &HeaderMap) -> Result<Response<Bytes>, String> {
    let mut request = Request::builder()
        .uri(url.target.clone())
        .header(HOST, url.authority.as_str())
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    request.headers_mut().extend(forwarded(incoming));
    match via {
        Some(via) => http::send((via.host(), via.port()), request, TIMEOUT).await,
        None => http::send(url.address(), request, TIMEOUT).await,
    }
    .map_err(|error: SendError| error.to_string())
}

/// The headers of a request that a service passes on to the services it calls, repeated lines included.
fn forwarded(incoming: &HeaderMap) -> HeaderMap {
    let travels =
        |name: &str| FORWARDED.contains(&name) || FORWARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut outgoing = HeaderMap::new();
    for (name, value) in incoming.iter().filter(|(name, _)| travels(name.as_str())) {
        outgoing.append(name, value.clone());
    }
    outgoing
}

fn body(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn trace_and_user_headers_travel_along() {
        for (name, value, travels) in [
            ("x-request-id", "1", true),
            ("x-b3-traceid", "1", true),
            ("x-b3-sampled", "1", true),
            ("b3", "1-1-1", true),
            ("traceparent", "00-1-1-01", true),
            ("tracestate", "a=1", true),
            ("x-ot-span-context", "1", true),
            ("x-datadog-trace-id", "1", true),
            ("x-cloud-trace-context", "1", true),
            ("grpc-trace-bin", "AA", true),
            ("sw8", "1", true),
            ("end-user", "jason", true),
            ("user-agent", "curl", true),
            ("cookie", "a=1", true),
            ("authorization", "Bearer x", true),
            ("jwt", "x", true),
            ("host", "reviews", false),
            ("content-length", "3", false),
            ("x-canary-version", "v2", false),
            ("x-b3", "1", false),
            ("accept", "*/*", false),
        ] {
            let mut incoming = HeaderMap::new();
            incoming.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            incoming.append(HeaderName::from_static(name), HeaderValue::from_static("second line"));
            let expected = if travels { incoming.clone() } else { HeaderMap::new() };
            assert_eq!(forwarded(&incoming), expected, "{name}");
        }
    }

    #[test]
    fn urls_to_call_are_absolute_http() {
        for (text, expected) in [
            ("http://ratings:9080/ratings/1?x=1", Some(("ratings:9080", "/ratings/1?x=1"))),
            ("http://ratings", Some(("ratings", "/"))),
            ("http://[::1]:80/", Some(("[::1]:80", "/"))),
            ("https://ratings/", None),
            ("ratings:9080", None),
            ("/ratings", None),
            ("http://user@ratings/", None),
            ("", None),
        ] {
            let url: Result<CallUrl, String> = text.parse();
            let found = url.map(|url| (url.authority.to_string(), url.target.to_string()));
            let expected = expected.map(|(authority, target)| (authority.to_owned(), target.to_owned()));
            assert_eq!(found.ok(), expected, "{text:?}");
        }
    }
}
