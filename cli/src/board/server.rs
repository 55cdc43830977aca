//! What browsers are answered: the page, its state, and explanations.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
    http::uri::Authority,
};
use serde_json::{Value, json};

use super::{explanation, state::WINDOWS, watch::Watch};

/// The longest question, in bytes.
const MAX_QUESTION: usize = 64 * 1024;
const JSON: &str = "application/json";
/// Nothing comes from elsewhere, nothing is sent elsewhere, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// The page: path, type, content.
const PAGE: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/board.css", "text/css; charset=utf-8", include_str!("page/board.css")),
    ("/board.js", "text/javascript; charset=utf-8", include_str!("page/board.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// The names under which browsers may ask. A page of a stranger can have its own name lead to this machine, and would then
/// read what is answered here; it cannot do so under an address, or a name that is not its own.
#[derive(Clone, Debug)]
pub(super) struct Names(pub(super) Vec<String>);

impl Names {
    /// Addresses, `localhost` and what is below it, and these names.
    fn allow(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_local = bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost");
        is_local || bare.parse::<IpAddr>().is_ok() || self.0.iter().any(|name| name.eq_ignore_ascii_case(bare))
    }
}

/// The answer to one request.
pub(super) async fn answer(watch: Arc<Watch>, names: Arc<Names>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = respond(&watch, &names, request).await;
    let headers = response.headers_mut();
    HEADERS.into_iter().for_each(|(name, value)| drop(headers.insert(name, HeaderValue::from_static(value))));
    response
}

async fn respond(watch: &Watch, names: &Names, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let authority = request.uri().authority().cloned().or_else(|| host_header(request.headers()));
    let host = authority.as_ref().map(Authority::host).unwrap_or_default();
    if !names.allow(host) {
        let text = format!("This board does not answer as {host:?}. If that is its name: --allow-host {host}\n");
        return plain(StatusCode::MISDIRECTED_REQUEST, text);
    }
    let path = request.uri().path();
    let allowed = if path == "/api/explain" { Method::POST } else { Method::GET };
    if *request.method() != allowed {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {allowed}\n"));
        response.headers_mut().extend(HeaderValue::from_str(allowed.as_str()).ok().map(|value| (header::ALLOW, value)));
        return response;
    }
    match path {
        "/api/state" => state(watch, request.uri().query().unwrap_or_default()),
        "/api/explain" => explain(watch, request).await,
        path => match PAGE.iter().find(|(of, ..)| *of == path) {
            Some((_, kind, content)) => typed(StatusCode::OK, kind, *content),
            None => plain(StatusCode::NOT_FOUND, "There is nothing here; the board is at /\n"),
        },
    }
}

fn host_header(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn state(watch: &Watch, query: &str) -> Response<Full<Bytes>> {
    let window = match query.strip_prefix("window=") {
        Some(seconds) => seconds.parse().ok().filter(|seconds| WINDOWS.contains(seconds)),
        None => query.is_empty().then_some(WINDOWS[0]),
    };
    match window {
        Some(window) => data(StatusCode::OK, &watch.state(window)),
        None => wrong(&format!("/api/state takes window=SECONDS, one of {WINDOWS:?}")),
    }
}

/// Pages of strangers cannot send JSON here without being asked first, and nobody says yes.
async fn explain(watch: &Watch, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.split(|byte| *byte == b';').next() != Some(JSON.as_bytes()) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "/api/explain takes application/json\n");
    }
    let body = match Limited::new(request.into_body(), MAX_QUESTION).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return wrong(&error.to_string()),
    };
    match explanation::explain(watch, &body).await {
        Ok(explanation) => data(StatusCode::OK, &explanation),
        Err(error) => wrong(&error),
    }
}

fn data(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    typed(status, JSON, value.to_string())
}

fn wrong(error: &str) -> Response<Full<Bytes>> {
    data(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(status: StatusCode, kind: &'static str, content: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_are_not_answered() {
        let names = Names(vec!["board.test".to_owned()]);
        for (host, expected) in [
            ("127.0.0.1", true),
            ("[::1]", true),
            ("192.0.2.1", true),
            ("localhost", true),
            ("LocalHost", true),
            ("a.localhost", true),
            ("board.test", true),
            ("Board.Test", true),
            ("a.board.test", false),
            ("notlocalhost", false),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test", false),
            ("evil.test", false),
            ("", false),
        ] {
            assert_eq!(names.allow(host), expected, "{host:?}");
        }
    }
}
