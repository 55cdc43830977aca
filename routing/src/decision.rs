//! What is to happen to a request: plain data, borrowed from the [`RouteTable`](crate::RouteTable) where it can be.

use std::borrow::Cow;

use crate::table::{Destination, Route};

/// The answer for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'t> {
    /// The rule that matched; `None` where the host is unknown or no rule of it matched.
    pub route: Option<&'t Route>,
    /// What to do.
    pub outcome: Outcome<'t>,
}

/// The three kinds of ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'t> {
    /// Send it to a cluster.
    Forward(Forward<'t>),
    /// Answer it here.
    LocalReply(LocalReply),
    /// No VirtualService takes the host: the proxy's native route serves.
    Untouched,
}

/// Where a forwarded request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward<'t> {
    /// Why this destination was picked.
    pub reason: Reason,
    /// The destination of the rule.
    pub destination: &'t Destination,
    /// The destination's port after the defaults of `services` and the request.
    pub port: u16,
    /// The Envoy cluster that serves the destination.
    pub cluster: Cow<'t, str>,
}

/// An answer by the proxy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub status: u16,
    /// Response-code details for the access log (`%RESPONSE_CODE_DETAILS%`).
    pub details: &'static str,
    /// The body; empty for none.
    pub body: &'static [u8],
}

impl LocalReply {
    /// A VirtualService takes the host, but none of its rules matches: 404, as Envoy answers where no route matches.
    pub const NO_RULE: Self = Self { status: 404, details: "canary_no_rule_matched", body: b"" };
}

/// Why a version was picked: the words of metrics, logs and `canaryctl explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The rule has one destination.
    Rule,
    /// The rule splits by weight.
    Weight,
}

impl Reason {
    /// The word used in metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Weight => "weight",
        }
    }
}
