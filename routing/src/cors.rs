//! What a CORS policy says to a request, as Envoy's CORS filter says it.

use std::borrow::Cow;

use crate::config::CorsPolicy;
use crate::decision::LocalReply;
use crate::request::RequestView;

type HeaderList<'t> = Vec<(&'static str, Cow<'t, [u8]>)>;

/// The policy's word on a request.
pub(crate) enum Verdict<'t> {
    /// No business of CORS.
    None,
    /// A simple request of an allowed origin: the response gets these headers.
    Allow(HeaderList<'t>),
    /// A preflight that is answered at once.
    Reply(LocalReply<'t>),
}

const ORIGIN: &str = "origin";
const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";

pub(crate) fn check<'t>(policy: &'t CorsPolicy, request: &impl RequestView) -> Verdict<'t> {
    let Some(origin) = request.header(ORIGIN).next().filter(|origin| !origin.is_empty()) else { return Verdict::None };
    if policy.allow_origins.is_empty() {
        return Verdict::None;
    }
    let requested_method = request.header(REQUEST_METHOD).next().filter(|method| !method.is_empty());
    let preflight = requested_method.filter(|_| request.method() == b"OPTIONS");
    let allowed = policy.allow_origins.iter().any(|wanted| wanted.is_match(b"*") || wanted.is_match(origin));
    match (preflight, allowed) {
        (Some(method), true) => Verdict::Reply(reply(preflight_headers(policy, request, origin, method))),
        (Some(_), false) if policy.ignore_unmatched_preflights => Verdict::Reply(reply(Vec::new())),
        (None, true) => Verdict::Allow(simple_headers(policy, origin)),
        (_, false) => Verdict::None,
    }
}

fn reply(headers: HeaderList<'_>) -> LocalReply<'_> {
    LocalReply {
        status: 200,
        grpc_status: None,
        details: "canary_cors_preflight",
        headers: headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        body: Cow::Borrowed(b""),
    }
}

fn simple_headers<'t>(policy: &'t CorsPolicy, origin: &[u8]) -> HeaderList<'t> {
    let mut headers: HeaderList<'t> = vec![("access-control-allow-origin", Cow::Owned(origin.to_vec()))];
    if policy.allow_credentials {
        headers.push(("access-control-allow-credentials", Cow::Borrowed(b"true")));
    }
    push(&mut headers, "access-control-expose-headers", &policy.expose_headers);
    headers
}

fn preflight_headers<'t>(
    policy: &'t CorsPolicy,
    request: &impl RequestView,
    origin: &[u8],
    method: &[u8],
) -> HeaderList<'t> {
    let mut headers = simple_headers(policy, origin);
    // `*` is no wildcard for requests with credentials: Envoy then echoes what was asked for.
    let echoes = |list: &Option<String>| policy.allow_credentials && list.as_deref() == Some("*");
    if echoes(&policy.allow_methods) {
        headers.push(("access-control-allow-methods", Cow::Owned(method.to_vec())));
    } else {
        push(&mut headers, "access-control-allow-methods", &policy.allow_methods);
    }
    let requested = request.header(REQUEST_HEADERS).next().filter(|_| echoes(&policy.allow_headers));
    match requested {
        Some(requested) => headers.push(("access-control-allow-headers", Cow::Owned(requested.to_vec()))),
        None => push(&mut headers, "access-control-allow-headers", &policy.allow_headers),
    }
    if let Some(seconds) = policy.max_age {
        headers.push(("access-control-max-age", Cow::Owned(seconds.to_string().into())));
    }
    headers
}

fn push<'t>(headers: &mut HeaderList<'t>, name: &'static str, list: &'t Option<String>) {
    headers.extend(list.as_ref().map(|list| (name, Cow::Borrowed(list.as_bytes()))));
}
