//! Local replies: redirects, direct responses and injected aborts.

use std::borrow::Cow;

use canary_config::{AbortStatus, DirectResponse, Redirect, RedirectPath, RedirectPort};

use super::path::{self, MatchedPath};
use crate::head::RequestHead;

/// A local reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply<'t> {
    /// The HTTP status. Envoy maps it for gRPC clients.
    pub status: u16,
    /// The gRPC status, if the rule has one.
    pub grpc_status: Option<u8>,
    /// The response code details, for `%RESPONSE_CODE_DETAILS%` in access logs.
    pub details: &'static str,
    /// Headers in addition to those that Envoy adds to every local reply. Names are in lower case.
    pub headers: Vec<(Cow<'t, str>, Cow<'t, [u8]>)>,
    /// The body. Empty for none.
    pub body: Cow<'t, [u8]>,
}

impl LocalReply<'_> {
    /// The reply if a VirtualService has the host and no rule of it matches. Envoy answers 404 if no route matches.
    pub(crate) const NO_RULE: Self = Self {
        status: 404,
        grpc_status: None,
        details: "canary_no_rule_matched",
        headers: Vec::new(),
        body: Cow::Borrowed(b""),
    };
}

/// The same body as in Envoy's fault filter.
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

/// The redirect that Envoy makes of istiod's route. `port` is the port that the client asked for.
pub(crate) fn redirect<'t>(
    redirect: &'t Redirect,
    matched: MatchedPath,
    head: &RequestHead<'_>,
    port: u16,
) -> LocalReply<'t> {
    let location = [scheme(redirect, head), b"://", &host(redirect, head, port), &new_path(redirect, matched, head)];
    LocalReply {
        status: redirect.code,
        grpc_status: None,
        details: "canary_redirect",
        headers: vec![("location".into(), Cow::Owned(location.concat()))],
        body: Cow::Borrowed(b""),
    }
}

fn scheme<'r>(redirect: &'r Redirect, head: &'r RequestHead<'_>) -> &'r [u8] {
    redirect.scheme.as_ref().map_or_else(|| head.scheme(), |scheme| scheme.as_bytes())
}

/// The new authority. A new port replaces the old one. A new scheme drops the default port of the old scheme.
fn host(redirect: &Redirect, head: &RequestHead<'_>, request_port: u16) -> Vec<u8> {
    let new_scheme = scheme(redirect, head);
    let port = match redirect.port {
        Some(RedirectPort::Number(port)) => Some(port),
        Some(RedirectPort::Request) => Some(request_port),
        Some(RedirectPort::ProtocolDefault) | None => None,
    };
    let port = port.filter(|port| Some(*port) != default_port(new_scheme));
    let mut host = match &redirect.authority {
        Some(authority) => authority.as_bytes(),
        None => {
            let authority = head.authority();
            let (bare, old_port) = canary_config::host::split_port(authority);
            let left_scheme = new_scheme != head.scheme() && old_port == default_port(head.scheme());
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

fn new_path(redirect: &Redirect, matched: MatchedPath, head: &RequestHead<'_>) -> Vec<u8> {
    match &redirect.path {
        None => head.path().to_vec(),
        Some(RedirectPath::Uri(uri)) if uri.contains('?') => uri.as_bytes().to_vec(),
        Some(RedirectPath::Uri(uri)) => [uri.as_bytes(), head.query()].concat(),
        Some(RedirectPath::Prefix(prefix)) => path::replace_match(head, matched, prefix),
    }
}
