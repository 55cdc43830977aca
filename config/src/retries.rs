//! `HTTPRetry`.

use std::time::Duration;

use crate::node::Node;
use crate::values::read_duration;
use crate::vocabulary;

/// How often and after what a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first; 0 switches retries off.
    pub attempts: u32,
    /// Limit of each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions in order, HTTP's and gRPC's, `retriable-status-codes` included where there are codes.
    pub retry_on: Vec<String>,
    /// Statuses of upstreams that are retried.
    pub status_codes: Vec<u16>,
}

/// What istiod puts in where a policy names no conditions, or a rule has no policy.
pub const DEFAULT_RETRY_ON: [&str; 5] =
    ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"];

/// The conditions that hold before an upstream has the request: nothing is sent twice.
pub const REPEATS_NOTHING: [&str; 3] = ["connect-failure", "refused-stream", "reset-before-request"];

/// The conditions of `retryOn` that Envoy's `x-envoy-retry-on` takes.
pub const HTTP_CONDITIONS: [&str; 11] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    RETRIABLE_STATUS_CODES,
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
];

/// The conditions of `retryOn` that Envoy's `x-envoy-retry-grpc-on` takes.
pub const GRPC_CONDITIONS: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];

/// The condition for statuses that are listed.
pub(super) const RETRIABLE_STATUS_CODES: &str = "retriable-status-codes";

impl Retries {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::RETRIES)?;
        let attempts = fields
            .get("attempts")
            .map_or(Some(0), |attempts| attempts.integer("attempts", 0..=i32::MAX.unsigned_abs()));
        let per_try_timeout = fields.get("perTryTimeout");
        let retry_on = fields.get("retryOn");
        let remote_localities = fields.get("retryRemoteLocalities");
        if attempts == Some(0) && [&per_try_timeout, &retry_on, &remote_localities].iter().any(|field| field.is_some())
        {
            node.invalid("http retry policy configured when attempts are set to 0 (disabled)");
        }
        for name in ["retryIgnorePreviousHosts", "retryRemoteLocalities"] {
            let _ = fields.get(name).and_then(|field| field.boolean());
        }
        let _ = fields.get("backoff").and_then(|backoff| read_duration(&backoff));
        fields.not_carried_out(
            &["retryIgnorePreviousHosts", "retryRemoteLocalities", "backoff"],
            "a request's headers cannot say it; set it in the retry policy of the native route",
        );
        fields.finish();
        let (retry_on, status_codes) = match retry_on.as_ref().map(|node| (node, node.string().unwrap_or_default())) {
            Some((node, text)) if !text.is_empty() => read_conditions(node, text),
            _ => (DEFAULT_RETRY_ON.map(str::to_owned).to_vec(), Vec::new()),
        };
        let per_try_timeout = per_try_timeout.and_then(|timeout| read_duration(&timeout));
        Some(Self { attempts: attempts?, per_try_timeout, retry_on, status_codes })
    }

    /// The conditions that `x-envoy-retry-on` takes.
    pub fn http_conditions(&self) -> impl Iterator<Item = &str> {
        self.retry_on.iter().map(String::as_str).filter(|condition| HTTP_CONDITIONS.contains(condition))
    }

    /// The conditions that `x-envoy-retry-grpc-on` takes.
    pub fn grpc_conditions(&self) -> impl Iterator<Item = &str> {
        self.retry_on.iter().map(String::as_str).filter(|condition| GRPC_CONDITIONS.contains(condition))
    }
}

/// Istio splits at commas and trims nothing; numbers are statuses.
fn read_conditions(node: &Node<'_>, text: &str) -> (Vec<String>, Vec<u16>) {
    let mut conditions = Vec::new();
    let mut codes = Vec::new();
    for part in text.split(',') {
        match part.parse::<u16>() {
            Ok(code) if is_registered(code) => codes.push(code),
            _ if HTTP_CONDITIONS.contains(&part) || GRPC_CONDITIONS.contains(&part) => conditions.push(part.to_owned()),
            _ => node.invalid(format!("{part:?} is not a valid retryOn policy")),
        }
    }
    if !codes.is_empty() && !conditions.iter().any(|condition| condition == RETRIABLE_STATUS_CODES) {
        conditions.push(RETRIABLE_STATUS_CODES.to_owned());
    }
    (conditions, codes)
}

/// The statuses to which Go's `http.StatusText` has a text.
fn is_registered(code: u16) -> bool {
    matches!(
        code,
        100..=103 | 200..=208 | 226 | 300..=305 | 307..=308 | 400..=418 | 421..=426 | 428..=429 | 431 | 451
            | 500..=508 | 510..=511
    )
}
