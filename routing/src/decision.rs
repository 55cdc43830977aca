//! The result of a decision: plain data, borrowed from the [`RouteTable`](crate::RouteTable) where possible.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use canary_config::{AbortStatus, FailureAccrual};

use crate::acting::{HeaderChanges, LocalReply};
use crate::destination::Destination;
use crate::draws::Fraction;
use crate::health::FallbackReason;
use crate::limits::{FailoverFailure, Limits, RetryPolicy};
use crate::names::HeaderName;
use crate::overrides::Permissions;
use crate::picking::Target;
use crate::route::Route;

/// The decision for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'t> {
    /// The rule that matched. `None` if the host is unknown or no rule of it matched.
    pub route: Option<&'t Route>,
    /// Wait this long first.
    pub delay: Option<Duration>,
    /// The injected fault, if the local reply is one.
    pub abort: Option<AbortStatus>,
    /// The version that would serve the request without the injected abort.
    pub aborted: Option<Picked<'t>>,
    /// Whether the client may do what its control headers ask for.
    pub permissions: Permissions,
    /// What happens to the request.
    pub outcome: Outcome<'t>,
}

/// A picked version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked<'t> {
    /// The version.
    pub destination: &'t Destination,
    /// Why it was picked.
    pub reason: Reason,
}

impl<'t> Decision<'t> {
    /// A decision without faults.
    pub(crate) fn of(permissions: Permissions, outcome: Outcome<'t>) -> Self {
        Self { route: None, delay: None, abort: None, aborted: None, permissions, outcome }
    }

    /// The version that serves the request, or would without an injected abort, and why it was picked.
    #[must_use]
    pub fn version(&self) -> Option<(&'t Destination, Reason)> {
        match (&self.outcome, &self.aborted) {
            (Outcome::Forward(forward), _) => Some((forward.destination, forward.reason)),
            (_, Some(picked)) => Some((picked.destination, picked.reason)),
            (Outcome::LocalReply(_) | Outcome::Untouched, None) => None,
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'t> {
    /// Forward it to a cluster.
    Forward(Forward<'t>),
    /// Answer it with a local reply.
    LocalReply(Box<LocalReply<'t>>),
    /// The proxy's native route serves: no VirtualService has the host, or in version mode the filter has nothing to
    /// add.
    Untouched,
}

impl<'t> Outcome<'t> {
    /// Takes the local reply, if there is one, and leaves `Untouched`.
    pub fn take_reply(&mut self) -> Option<Box<LocalReply<'t>>> {
        if !matches!(self, Self::LocalReply(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Untouched) {
            Self::LocalReply(reply) => Some(reply),
            Self::Forward(_) | Self::Untouched => None,
        }
    }
}

/// Where a forwarded request goes, and how it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward<'t> {
    /// Why this destination was picked.
    pub reason: Reason,
    /// The destination: one of the rule, or a version that a policy picked instead.
    pub destination: &'t Arc<Destination>,
    /// The destination's port. Defaults come from `services`, then from the request.
    pub port: u16,
    /// The Envoy cluster of the destination. The name is from the configuration, or made from the port that the client
    /// asked for.
    pub cluster: Cow<'t, str>,
    /// The versions that Envoy tries after this one. `None` if there is no other, or the proxy has no failover cluster.
    pub failover: Option<Box<Failover<'t>>>,
    /// The rewritten `:path`, with its query.
    pub path: Option<Vec<u8>>,
    /// The rewritten authority.
    pub authority: Option<&'t str>,
    /// Changes of the request's headers. They come before [`version_value`](Self::version_value).
    pub request_headers: HeaderChanges,
    /// The version header of the policy. It gives later hops the version.
    pub version_value: Option<VersionValue<'t>>,
    /// Changes of the response's headers, with those of CORS and a new user's cookie.
    pub response_headers: HeaderChanges,
    /// The timeout and the retries. `None` in version mode, where the native route has them, except for requests that
    /// may be repeated on the next version.
    pub limits: Option<&'t Limits>,
    /// Whether this version has failed if Envoy went on to a version of [`failover`](Self::failover).
    pub failover_failure: FailoverFailure,
    /// Clusters that get a mirrored copy, at most [`MAX_MIRRORS`](canary_config::MAX_MIRRORS).
    pub mirrors: Vec<Cow<'t, str>>,
    /// How the rule's weights picked the version. `None` if something else picked it.
    pub split: Option<Box<SplitPick<'t>>>,
    /// The version that was picked first, if another one serves.
    pub fallback: Option<Box<Fallback<'t>>>,
    /// Whether a policy names another version that could replace this one.
    pub has_alternative: bool,
    /// The failure accrual of the version, if another one could replace it.
    pub accrual: Option<&'t Arc<FailureAccrual>>,
}

impl<'t> Forward<'t> {
    /// The timeout of the whole request, tries included.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.limits?.timeout
    }

    /// The retry policy. `None` if the rule has none or turns retries off.
    #[must_use]
    pub fn retries(&self) -> Option<&'t RetryPolicy> {
        self.limits?.retries.as_ref()
    }
}

/// The versions that Envoy tries after the picked one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover<'t> {
    /// The failover cluster of the picked version.
    pub cluster: &'t str,
    /// The versions in order.
    pub versions: Vec<FailoverVersion<'t>>,
}

/// A version that Envoy may try after the picked one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverVersion<'t> {
    /// The version.
    pub destination: &'t Arc<Destination>,
    /// Its own cluster.
    pub cluster: &'t str,
    /// Changes of the headers of its responses.
    pub response_headers: HeaderChanges,
}

/// The version header for the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionValue<'t> {
    /// The header.
    pub name: &'t HeaderName,
    /// Its only value.
    pub version: &'t str,
}

/// How the weights of a rule picked a version.
#[derive(Debug, Clone)]
pub struct SplitPick<'t> {
    pub(crate) targets: &'t [Target],
    /// Indices of the targets along the ring. `None` if users have no place on it.
    pub(crate) order: Option<&'t [usize]>,
    /// The weights by index, if one of them is on a ramp.
    pub(crate) ramped: Option<Vec<u64>>,
    /// The user, if the split is sticky and the user is known.
    pub user: Option<User<'t>>,
}

/// A user of a sticky split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'t> {
    /// Where the user's key is, or will be, such as `header x-user-id`.
    pub key: &'t str,
    /// The user's place on the ring. `None` for a new user if the draws have no identity.
    pub bucket: Option<Fraction>,
    /// Whether the request had no key. The response then sets a cookie.
    pub is_new: bool,
}

impl PartialEq for SplitPick<'_> {
    /// Two splits are equal if their targets are. The weights follow from the rule and the time.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.targets, other.targets)
            && (self.order, &self.ramped, self.user) == (other.order, &other.ramped, other.user)
    }
}

impl Eq for SplitPick<'_> {}

impl<'t> SplitPick<'t> {
    /// The destinations with their current weights: along the ring if users have a place on it, otherwise in the rule's
    /// order.
    pub fn weights(&self) -> impl Iterator<Item = (&'t Destination, u64)> {
        let along = self.order.unwrap_or_default().iter().copied();
        let all = 0..self.order.map_or(self.targets.len(), |_| 0);
        along.chain(all).filter_map(|index| {
            let target = self.targets.get(index)?;
            let ramped = self.ramped.as_ref().and_then(|weights| weights.get(index).copied());
            Some((&*target.own.destination, ramped.unwrap_or(target.weight.into())))
        })
    }
}

/// The version that another one replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback<'t> {
    /// The version that the client named or that was picked. `None` is the service as a whole. A client's text is cut
    /// to 63 bytes.
    pub from: Option<Cow<'t, str>>,
    /// Why it cannot serve.
    pub reason: FallbackReason,
    /// The versions that were tried next and cannot serve either, in order. At most [`MAX_SKIPPED`].
    pub skipped: Vec<Skipped<'t>>,
}

/// A version of the fallback order that cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped<'t> {
    /// The version.
    pub version: Cow<'t, str>,
    /// Why it cannot serve.
    pub reason: FallbackReason,
}

/// The most versions that a decision lists as skipped.
pub const MAX_SKIPPED: usize = 8;

/// Why a version was picked. Metrics, logs and `canaryctl explain` use these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The rule has one destination.
    Rule,
    /// The rule splits by weight.
    Weight,
    /// The rule splits by weight, and the user's bucket decides.
    Sticky,
    /// The rule splits by weights, and one of them is on a ramp.
    Ramp,
    /// The client named the version.
    VersionHeader,
    /// A trusted client forced the version.
    Override,
    /// The policy sends everything to the default.
    Frozen,
}

impl Reason {
    /// The word for metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Weight => "weight",
            Self::Sticky => "sticky",
            Self::Ramp => "ramp",
            Self::VersionHeader => "version-header",
            Self::Override => "override",
            Self::Frozen => "frozen",
        }
    }
}
