//! The destinations of a rule, and the versions that may be picked in their place.

use std::sync::Arc;

use canary_config::Fault;

use super::host_policy::HostPolicy;
use crate::acting::HeaderPolicy;
use crate::destination::Destination;

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
    pub(crate) destination: Destination,
    pub(crate) headers: Arc<HeaderPolicy>,
    /// The fault of this version alone, which replaces the rule's of the same kind.
    pub(crate) fault: Fault,
}
