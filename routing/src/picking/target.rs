//! The destinations of a rule, and the versions that may replace them.

use std::sync::Arc;

use canary_config::{Fault, RetryNext};

use super::host_policy::HostPolicy;
use crate::acting::HeaderPolicy;
use crate::destination::Destination;
use crate::limits::{FailoverFailure, Limits};

/// A destination of a rule.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) own: Version,
    /// The share is this over the sum of the rule's weights. A single destination ignores it.
    pub(crate) weight: u32,
    /// The policy of its host.
    pub(crate) policy: Option<Arc<HostPolicy>>,
    /// The versions of the host that may replace it: all versions of the policy and of the rule.
    pub(crate) versions: Box<[Alternative]>,
    /// The fallback order, as indices of `versions`.
    pub(crate) order: Box<[usize]>,
    pub(crate) limits: TargetLimits,
}

/// The timeout and the retries of a target's requests.
#[derive(Debug, Default)]
pub(crate) struct TargetLimits {
    pub(crate) all: RequestLimits,
    /// The requests that may be repeated on the next version, and their limits.
    pub(crate) repeatable: Option<(RetryNext, RequestLimits)>,
}

/// The limits of one request.
#[derive(Debug, Default)]
pub(crate) struct RequestLimits {
    /// `None` if the native route has them.
    pub(crate) limits: Option<Limits>,
    pub(crate) failover_failure: FailoverFailure,
}

impl TargetLimits {
    /// The limits of a request with this method.
    pub(crate) fn of(&self, method: &[u8]) -> &RequestLimits {
        let repeatable = self.repeatable.as_ref().filter(|(next, _)| next.repeats(method));
        repeatable.map_or(&self.all, |(_, limits)| limits)
    }
}

/// A version that may replace a target.
#[derive(Debug)]
pub(crate) enum Alternative {
    /// A target of the rule, by its index. It may be the target itself.
    Target(usize),
    /// Not a target of the rule. It gets the port of the target that it replaces, and the header operations that the
    /// rule has for all destinations.
    Bare(Version),
}

/// A version, and the header operations of the rule for it.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) destination: Arc<Destination>,
    pub(crate) headers: Arc<HeaderPolicy>,
    /// The fault of this version alone. It replaces the rule's fault of the same kind.
    pub(crate) fault: Fault,
}
