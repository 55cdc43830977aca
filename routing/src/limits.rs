//! How long a request may take, and when it is tried again.

use std::time::Duration;

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
