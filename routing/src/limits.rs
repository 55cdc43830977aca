//! Timeouts and retries.

use std::time::Duration;

use canary_config::{FailureAccrual, REPEATS_NOTHING};

use crate::names::{HeaderName, Slot};

/// The timeout and the retries of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The timeout of the whole request, tries included.
    pub timeout: Option<Duration>,
    /// `None` if the rule has none or turns retries off.
    pub retries: Option<RetryPolicy>,
    /// Timeout and retries as headers for Envoy's router, each with its value.
    pub headers: Box<[(HeaderName, Box<[u8]>)]>,
}

impl Limits {
    /// Whether one of these headers has this slot.
    pub(crate) fn sets(&self, name: Slot) -> bool {
        self.headers.iter().any(|(own, _)| own.slot() == name)
    }
}

/// When a request is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first one, at least 1.
    pub attempts: u32,
    /// The timeout of each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions, joined by commas. Includes `retriable-status-codes` if there are codes.
    pub retry_on: String,
    /// Upstream status codes that are retried.
    pub status_codes: Vec<u16>,
}

/// Whether a failover from a version counts as a failure of that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailoverFailure {
    /// Whether every condition for a retry is a failure by the policy, for HTTP requests that are not gRPC calls.
    pub http: bool,
    /// The same for gRPC calls.
    pub grpc: bool,
    /// Whether a request may be retried after its version has got it. The client must have sent all of it by then.
    pub repeats: bool,
}

impl FailoverFailure {
    /// Compares the retry conditions with the failures of the policy. Conditions under which nothing was sent are left
    /// out.
    pub(crate) fn of<'c>(
        conditions: impl Iterator<Item = &'c str> + Clone,
        status_codes: &[u16],
        accrual: &FailureAccrual,
    ) -> Self {
        let all_fail = |is_grpc| conditions.clone().all(|condition| accrual.covers(condition, status_codes, is_grpc));
        let repeats = conditions.clone().any(|condition| !REPEATS_NOTHING.contains(&condition));
        Self { http: all_fail(false), grpc: all_fail(true), repeats }
    }
}
