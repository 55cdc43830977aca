//! The destinations of a rule, and the versions that may be picked in their place.

use std::sync::Arc;

use canary_config::{Fault, RetryNext};

use super::host_policy::HostPolicy;
use crate::acting::HeaderPolicy;
use crate::destination::Destination;
use crate::limits::{LeftFailed, Limits};

/// A destination of a rule.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) own: Version,
    /// Its share is this over the sum of the rule's weights; of no meaning for a lone destination.
    pub(crate) weight: u32,
    /// The policy of its host.
    pub(crate) policy: Option<Arc<HostPolicy>>,
    /// The versions of the host that may be picked in its place: all that the policy knows or the rule names.
    pub(crate) versions: Box<[Alternative]>,
    /// The fallback order, as places in `versions`.
    pub(crate) order: Box<[usize]>,
    pub(crate) limits: TargetLimits,
}

/// How long the requests of a target may take, and when they are tried again.
#[derive(Debug, Default)]
pub(crate) struct TargetLimits {
    pub(crate) all: RequestLimits,
    /// In their place for requests that may be repeated on the next version: their methods.
    pub(crate) repeatable: Option<(RetryNext, RequestLimits)>,
}

/// Those of a request.
#[derive(Debug, Default)]
pub(crate) struct RequestLimits {
    /// `None` where the native route says them.
    pub(crate) limits: Option<Limits>,
    pub(crate) left_failed: LeftFailed,
}

impl TargetLimits {
    /// The limits of a request by its method.
    pub(crate) fn of(&self, method: &[u8]) -> &RequestLimits {
        let repeatable = self.repeatable.as_ref().filter(|(next, _)| next.repeats(method));
        repeatable.map_or(&self.all, |(_, limits)| limits)
    }
}

/// A version that may be picked in the place of a target.
#[derive(Debug)]
pub(crate) enum Alternative {
    /// Another target of the rule, or this one, by its place.
    Target(usize),
    /// No target of the rule: on the port of the target that it replaces, with what the rule does for all.
    Bare(Version),
}

/// A version with what a rule does to its requests and their responses.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) destination: Arc<Destination>,
    pub(crate) headers: Arc<HeaderPolicy>,
    /// The fault of this version alone, which replaces the rule's of the same kind.
    pub(crate) fault: Fault,
}
