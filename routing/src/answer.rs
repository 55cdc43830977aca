//! Answers of the proxy itself: redirects, direct responses, injected aborts.

use std::borrow::Cow;

use crate::config::{AbortStatus, DirectResponse, HttpMatch, Redirect, RedirectPath, RedirectPort};
use crate::decision::LocalReply;
use crate::path;
use crate::request::RequestView;

/// The body of Envoy's own fault filter.
const ABORT_BODY: &[u8] = b"fault filter abort";

pub(crate) fn abort<'t>(status: AbortStatus) -> LocalReply<'t> {
    let (status, grpc_status) = match status {
        AbortStatus::Http(status) => (status, None),
        AbortStatus::Grpc(code) => (200, Some(code)),
    };
    LocalReply {
        status,
        grpc_status,
        details: "canary_fault_abort",
        headers: Vec::new(),
        body: Cow::Borrowed(ABORT_BODY),
    }
}

pub(crate) fn direct_response(response: &DirectResponse) -> LocalReply<'_> {
    LocalReply {
        status: response.status,
        grpc_status: None,
        details: "canary_direct_response",
        headers: Vec::new(),
        body: Cow::Borrowed(&response.body),
    }
}

/// A redirect as Envoy makes it of istiod's route. `port` is the port that the client asked for.
pub(crate) fn redirect<'t>(
    redirect: &'t Redirect,
    matcher: Option<&HttpMatch>,
    request: &impl RequestView,
    port: u16,
) -> LocalReply<'t> {
    let location =
        [scheme(redirect, request), b"://", &host(redirect, request, port), &new_path(redirect, matcher, request)];
    LocalReply {
        status: redirect.code,
        grpc_status: None,
        details: "canary_redirect",
        headers: vec![("location".into(), Cow::Owned(location.concat()))],
        body: Cow::Borrowed(b""),
    }
}

fn scheme<'r>(redirect: &'r Redirect, request: &'r impl RequestView) -> &'r [u8] {
    redirect.scheme.as_ref().map_or_else(|| request.scheme(), |scheme| scheme.as_bytes())
}

/// The authority: the rule's or the request's; a new port replaces the request's, a new scheme drops the old one's default.
fn host(redirect: &Redirect, request: &impl RequestView, request_port: u16) -> Vec<u8> {
    let new_scheme = scheme(redirect, request);
    let port = match redirect.port {
        Some(RedirectPort::Number(port)) => Some(port),
        Some(RedirectPort::Request) => Some(request_port),
        Some(RedirectPort::ProtocolDefault) | None => None,
    };
    let port = port.filter(|port| Some(*port) != default_port(new_scheme));
    let mut host = match &redirect.authority {
        Some(authority) => authority.as_bytes(),
        None => {
            let authority = request.authority();
            let (bare, old_port) = crate::host::split_port(authority);
            let left_scheme = new_scheme != request.scheme() && old_port == default_port(request.scheme());
            if port.is_some() || (old_port.is_some() && left_scheme) { bare } else { authority }
        }
    }
    .to_vec();
    if let Some(port) = port {
        host.extend_from_slice(format!(":{port}").as_bytes());
    }
    host
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    }
}

fn new_path(redirect: &Redirect, matcher: Option<&HttpMatch>, request: &impl RequestView) -> Vec<u8> {
    let old = request.path();
    match &redirect.path {
        None => old.to_vec(),
        Some(RedirectPath::Uri(uri)) if uri.contains('?') => uri.as_bytes().to_vec(),
        Some(RedirectPath::Uri(uri)) => [uri.as_bytes(), path::query(old)].concat(),
        Some(RedirectPath::Prefix(prefix)) => path::replace_match(old, matcher, prefix),
    }
}
