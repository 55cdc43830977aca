//! What is to happen to a request: plain data, borrowed from the [`RouteTable`](crate::RouteTable) where it can be.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use canary_config::{AbortStatus, FailureAccrual};

use crate::acting::{HeaderChanges, LocalReply};
use crate::destination::Destination;
use crate::draws::Fraction;
use crate::health::FallbackReason;
use crate::limits::{LeftFailed, Limits, RetryPolicy};
use crate::names::HeaderName;
use crate::overrides::Permissions;
use crate::picking::Target;
use crate::route::Route;

/// The answer for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'t> {
    /// The rule that matched; `None` where the host is unknown or no rule of it matched.
    pub route: Option<&'t Route>,
    /// Wait so long before anything else.
    pub delay: Option<Duration>,
    /// The local reply is an injected fault of this kind.
    pub abort: Option<AbortStatus>,
    /// The version that an injected abort keeps the request from.
    pub aborted: Option<Picked<'t>>,
    /// What became of the wishes in the client's control headers.
    pub permissions: Permissions,
    /// What to do.
    pub outcome: Outcome<'t>,
}

/// A version, and why it was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked<'t> {
    /// The version.
    pub destination: &'t Destination,
    /// Why.
    pub reason: Reason,
}

impl<'t> Decision<'t> {
    /// A decision without faults.
    pub(crate) fn of(permissions: Permissions, outcome: Outcome<'t>) -> Self {
        Self { route: None, delay: None, abort: None, aborted: None, permissions, outcome }
    }

    /// The version that serves the request, or would but for an injected abort, and why it was picked.
    #[must_use]
    pub fn version(&self) -> Option<(&'t Destination, Reason)> {
        match (&self.outcome, &self.aborted) {
            (Outcome::Forward(forward), _) => Some((forward.destination, forward.reason)),
            (_, Some(picked)) => Some((picked.destination, picked.reason)),
            (Outcome::LocalReply(_) | Outcome::Untouched, None) => None,
        }
    }
}

/// The three kinds of ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'t> {
    /// Send it to a cluster.
    Forward(Forward<'t>),
    /// Answer it here.
    LocalReply(Box<LocalReply<'t>>),
    /// The proxy's native route serves: no VirtualService takes the host, or (in version mode) the filter has nothing to add.
    Untouched,
}

impl<'t> Outcome<'t> {
    /// The answer, if it is one; the request is untouched then.
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

/// Where a forwarded request goes, and what happens to it on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward<'t> {
    /// Why this destination was picked.
    pub reason: Reason,
    /// The destination: one of the rule's, or the version that a policy has put in its place.
    pub destination: &'t Arc<Destination>,
    /// The destination's port after the defaults of `services` and the request.
    pub port: u16,
    /// The Envoy cluster that serves the destination. It is the document's own name, or else made of the port that the client
    /// asked for.
    pub cluster: Cow<'t, str>,
    /// The versions that Envoy tries after this one; `None` where the proxy has no cluster for that, or there is no other.
    pub failover: Option<Box<Failover<'t>>>,
    /// The rewritten `:path`, with its query.
    pub path: Option<Vec<u8>>,
    /// The rewritten authority.
    pub authority: Option<&'t str>,
    /// Changes of the request's headers, before [`version_value`](Self::version_value).
    pub request_headers: HeaderChanges,
    /// The version header of the policy, which tells later hops the version.
    pub version_value: Option<VersionValue<'t>>,
    /// Changes of the response's headers, those of CORS and a new user's cookie included.
    pub response_headers: HeaderChanges,
    /// How long the request may take, and when it is tried again; `None` in version mode, where the native route says it, save
    /// for requests that may be repeated on the next version.
    pub limits: Option<&'t Limits>,
    /// Whether this version has failed where [`failover`](Self::failover) has led to another one.
    pub left_failed: LeftFailed,
    /// Clusters that get a copy, at most [`MAX_MIRRORS`](canary_config::MAX_MIRRORS).
    pub mirrors: Vec<Cow<'t, str>>,
    /// How the rule's weights picked the version; `None` where something else did.
    pub split: Option<Box<SplitPick<'t>>>,
    /// The version that was picked first, if another serves.
    pub fallback: Option<Box<Fallback<'t>>>,
    /// Whether a policy names another version that could serve in place of this one.
    pub has_alternative: bool,
    /// What its failures do to the version, if another could serve in its place.
    pub accrual: Option<&'t Arc<FailureAccrual>>,
}

impl<'t> Forward<'t> {
    /// Limit of the whole exchange, tries included.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.limits?.timeout
    }

    /// When to try again; `None` where the rule is silent or switches retries off.
    #[must_use]
    pub fn retries(&self) -> Option<&'t RetryPolicy> {
        self.limits?.retries.as_ref()
    }
}

/// The versions that Envoy tries after the one that was picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover<'t> {
    /// The failover cluster that the request goes to.
    pub cluster: &'t str,
    /// The versions in order.
    pub others: Vec<Other<'t>>,
}

/// A version that may serve in the place of the one that was picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other<'t> {
    /// The version.
    pub destination: &'t Arc<Destination>,
    /// Its own cluster.
    pub cluster: &'t str,
    /// Changes of its responses' headers.
    pub response_headers: HeaderChanges,
}

/// A version header with the version that serves.
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
    /// Indices of targets along the ring, where users have a place on it.
    pub(crate) order: Option<&'t [usize]>,
    /// The weights by index where the clock moves one.
    pub(crate) ramped: Option<Vec<u64>>,
    /// The user, where the split is sticky and knows one.
    pub user: Option<User<'t>>,
}

/// A user of a sticky split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'t> {
    /// Where the user's key is, or is to be, such as `header x-user-id`.
    pub key: &'t str,
    /// The user's place on the ring; `None` for a new user whom the draws do not name.
    pub bucket: Option<Fraction>,
    /// The request had no key: the response brings a cookie.
    pub is_new: bool,
}

impl PartialEq for SplitPick<'_> {
    /// Splits of the same targets; the weights follow from the rule and the time.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.targets, other.targets)
            && (self.order, &self.ramped, self.user) == (other.order, &other.ramped, other.user)
    }
}

impl Eq for SplitPick<'_> {}

impl<'t> SplitPick<'t> {
    /// The destinations with their weights now: along the ring where users have a place on it, else in the rule's order.
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

/// A version that gave way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback<'t> {
    /// The version that was asked for or picked; `None` is the service as a whole. What a client wrote is cut to 63 bytes.
    pub from: Option<Cow<'t, str>>,
    /// Why it cannot serve.
    pub reason: FallbackReason,
    /// The versions after it that cannot serve either, in the order in which they were tried; at most [`MAX_SKIPPED`].
    pub skipped: Vec<Skipped<'t>>,
}

/// A version that was to stand in for another and cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped<'t> {
    /// The version.
    pub version: Cow<'t, str>,
    /// Why it cannot serve.
    pub reason: FallbackReason,
}

/// So many versions a decision names as skipped, at most.
pub const MAX_SKIPPED: usize = 8;

/// Why a version was picked: the words of metrics, logs and `canaryctl explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The rule has one destination.
    Rule,
    /// The rule splits by weight.
    Weight,
    /// The rule splits by weight, and the user's bucket decides.
    Sticky,
    /// The rule splits by weights of which the clock moves one.
    Ramp,
    /// The client named the version.
    VersionHeader,
    /// A trusted client forced the version.
    Override,
    /// The policy sends everything to the default.
    Frozen,
}

impl Reason {
    /// The word used in metrics, logs and explanations.
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
