//! How long a request may take, and when it is tried again.

use std::time::Duration;

use canary_config::{FailureAccrual, REPEATS_NOTHING};

use crate::names::{HeaderName, Slot};

/// How long a request may take, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Limit of the whole exchange, tries included.
    pub timeout: Option<Duration>,
    /// `None` where the rule is silent or switches retries off.
    pub retries: Option<RetryPolicy>,
    /// Both as the headers that Envoy's router reads, each with its value.
    pub headers: Box<[(HeaderName, Box<[u8]>)]>,
}

impl Limits {
    /// Whether a header is one of theirs.
    pub(crate) fn sets(&self, name: Slot) -> bool {
        self.headers.iter().any(|(own, _)| own.slot() == name)
    }
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first, 1 or more.
    pub attempts: u32,
    /// Limit of each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions, separated by commas; `retriable-status-codes` included where there are codes.
    pub retry_on: String,
    /// Statuses of upstreams that are retried.
    pub status_codes: Vec<u16>,
}

/// Whether a version that Envoy has left for the next one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftFailed {
    /// All that has a request tried again is a failure by its policy, if it is no gRPC call.
    pub http: bool,
    /// The same of a gRPC call.
    pub grpc: bool,
    /// A request may be tried again after its version has got it: then the client must have sent all of it.
    pub repeats: bool,
}

impl LeftFailed {
    /// By the conditions on which requests are tried again beside those that repeat nothing.
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
