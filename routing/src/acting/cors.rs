//! Applies a CORS policy as Envoy's CORS filter does.

use std::borrow::Cow;

use super::local_reply::LocalReply;
use crate::head::RequestHead;
use crate::matching::Test;
use crate::names::HeaderName;
use crate::regex::RegexSet;

/// A compiled CORS policy.
#[derive(Debug)]
pub(crate) struct CorsRules {
    pub(crate) names: CorsNames,
    /// Origins that are compared, and origins that are regexes. Without any origin CORS does not apply.
    pub(crate) origins: Box<[Test]>,
    pub(crate) origin_regexes: Option<RegexSet>,
    /// Whether the origin `*` is allowed, and so every origin.
    pub(crate) allows_all: bool,
    pub(crate) allow_methods: Option<Box<[u8]>>,
    pub(crate) allow_headers: Option<Box<[u8]>>,
    pub(crate) expose_headers: Option<Box<[u8]>>,
    pub(crate) max_age: Option<Box<[u8]>>,
    pub(crate) allow_credentials: bool,
    /// Whether a preflight of an unmatched origin is answered with 200. Otherwise it is forwarded.
    pub(crate) ignore_unmatched_preflights: bool,
}

/// The headers of CORS.
#[derive(Debug, Clone)]
pub(crate) struct CorsNames {
    pub(crate) origin: HeaderName,
    pub(crate) request_method: HeaderName,
    pub(crate) request_headers: HeaderName,
    pub(crate) allow_origin: HeaderName,
    pub(crate) allow_credentials: HeaderName,
    pub(crate) expose_headers: HeaderName,
    pub(crate) allow_methods: HeaderName,
    pub(crate) allow_headers: HeaderName,
    pub(crate) max_age: HeaderName,
}

type HeaderList = Vec<(HeaderName, Vec<u8>)>;

/// What CORS does with a request.
pub(crate) enum CorsResult {
    /// CORS does not apply.
    None,
    /// A simple request of an allowed origin. The response gets these headers.
    Allow(HeaderList),
    /// A preflight, which gets this reply.
    Reply(LocalReply<'static>),
}

impl CorsRules {
    pub(crate) fn check(&self, head: &RequestHead<'_>) -> CorsResult {
        let first = |name: &HeaderName| head.values(name.slot()).next().filter(|value| !value.is_empty());
        let Some(origin) = first(&self.names.origin) else { return CorsResult::None };
        if self.origins.is_empty() && self.origin_regexes.is_none() {
            return CorsResult::None;
        }
        let preflight = first(&self.names.request_method).filter(|_| head.method() == b"OPTIONS");
        match (preflight, self.allows(origin)) {
            (Some(method), true) => CorsResult::Reply(reply(self.preflight_headers(head, origin, method))),
            (Some(_), false) if self.ignore_unmatched_preflights => CorsResult::Reply(reply(Vec::new())),
            (None, true) => CorsResult::Allow(self.simple_headers(origin)),
            (_, false) => CorsResult::None,
        }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        let by_regex = || self.origin_regexes.as_ref().is_some_and(|regexes| regexes.is_match(origin));
        self.allows_all || self.origins.iter().any(|wanted| wanted.holds(origin)) || by_regex()
    }

    fn simple_headers(&self, origin: &[u8]) -> HeaderList {
        let mut headers = vec![(self.names.allow_origin.clone(), origin.to_vec())];
        if self.allow_credentials {
            headers.push((self.names.allow_credentials.clone(), b"true".to_vec()));
        }
        push(&mut headers, &self.names.expose_headers, self.expose_headers.as_deref());
        headers
    }

    fn preflight_headers(&self, head: &RequestHead<'_>, origin: &[u8], method: &[u8]) -> HeaderList {
        let mut headers = self.simple_headers(origin);
        // With credentials `*` is not a wildcard. Envoy then echoes the requested value, and so do we.
        let echoes = |list: &Option<Box<[u8]>>| self.allow_credentials && list.as_deref() == Some(b"*");
        let methods = if echoes(&self.allow_methods) { Some(method) } else { self.allow_methods.as_deref() };
        push(&mut headers, &self.names.allow_methods, methods);
        let requested = head.values(self.names.request_headers.slot()).next().filter(|_| echoes(&self.allow_headers));
        push(&mut headers, &self.names.allow_headers, requested.or(self.allow_headers.as_deref()));
        push(&mut headers, &self.names.max_age, self.max_age.as_deref());
        headers
    }
}

fn push(headers: &mut HeaderList, name: &HeaderName, value: Option<&[u8]>) {
    headers.extend(value.map(|value| (name.clone(), value.to_vec())));
}

fn reply(headers: HeaderList) -> LocalReply<'static> {
    LocalReply {
        status: 200,
        grpc_status: None,
        details: "canary_cors_preflight",
        headers: headers.into_iter().map(|(name, value)| (name.as_str().to_owned().into(), value.into())).collect(),
        body: Cow::Borrowed(b""),
    }
}
