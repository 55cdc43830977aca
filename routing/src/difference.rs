//! Compares a candidate's decision with the live one.

use crate::acting::HeaderChange;
use crate::decision::{Decision, Forward, Outcome};

/// What differs between two decisions for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difference {
    /// One forwards. The other replies locally or leaves the request alone.
    Outcome,
    /// The host or its version.
    Version,
    /// The cluster.
    Cluster,
    /// The local reply.
    LocalReply,
    /// Delays and aborts.
    Faults,
    /// The path or the authority that the upstream sees.
    Rewrite,
    /// Changes of headers, with a new user's cookie.
    Headers,
    /// The timeout or the retries.
    Retries,
    /// The mirrors.
    Mirrors,
}

impl Difference {
    /// Every difference, in order.
    pub const ALL: [Self; 9] = [
        Self::Outcome,
        Self::Version,
        Self::Cluster,
        Self::LocalReply,
        Self::Faults,
        Self::Rewrite,
        Self::Headers,
        Self::Retries,
        Self::Mirrors,
    ];

    /// The word for metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Version => "version",
            Self::Cluster => "cluster",
            Self::LocalReply => "local-reply",
            Self::Faults => "faults",
            Self::Rewrite => "rewrite",
            Self::Headers => "headers",
            Self::Retries => "retries",
            Self::Mirrors => "mirrors",
        }
    }

    fn is_between(self, live: &Decision<'_>, candidate: &Decision<'_>) -> bool {
        let forwards = |differ: fn(&Forward<'_>, &Forward<'_>) -> bool| match (&live.outcome, &candidate.outcome) {
            (Outcome::Forward(live), Outcome::Forward(candidate)) => differ(live, candidate),
            _ => false,
        };
        match self {
            Self::Outcome => std::mem::discriminant(&live.outcome) != std::mem::discriminant(&candidate.outcome),
            Self::Version => forwards(|live, candidate| {
                let (live, candidate) = (live.destination, candidate.destination);
                (&live.host, &live.subset) != (&candidate.host, &candidate.subset)
            }),
            Self::Cluster => forwards(|live, candidate| live.cluster != candidate.cluster),
            Self::LocalReply => match (&live.outcome, &candidate.outcome) {
                (Outcome::LocalReply(live), Outcome::LocalReply(candidate)) => live != candidate,
                _ => false,
            },
            Self::Faults => (live.delay, live.abort) != (candidate.delay, candidate.abort),
            Self::Rewrite => {
                forwards(|live, candidate| (&live.path, live.authority) != (&candidate.path, candidate.authority))
            }
            Self::Headers => forwards(|live, candidate| {
                let version = |forward: &Forward<'_>| {
                    forward.version_value.map(|value| (value.name.as_str().to_owned(), value.version.to_owned()))
                };
                !same_changes(&live.request_headers, &candidate.request_headers)
                    || !same_changes(&live.response_headers, &candidate.response_headers)
                    || version(live) != version(candidate)
            }),
            Self::Retries => forwards(|live, candidate| {
                (live.timeout(), live.retries()) != (candidate.timeout(), candidate.retries())
            }),
            Self::Mirrors => forwards(|live, candidate| live.mirrors != candidate.mirrors),
        }
    }
}

/// Compares by name, because each table numbers its headers differently.
fn same_changes(live: &[HeaderChange], candidate: &[HeaderChange]) -> bool {
    let content = |change: &HeaderChange| (change.name.as_str().to_owned(), change.operation, change.value.clone());
    live.iter().map(content).eq(candidate.iter().map(content))
}

/// Every difference of two decisions, in the order of [`Difference::ALL`]. It is empty if a client and the upstreams
/// see no difference. Names and positions of rules do not count, and neither do reasons.
pub fn differences(live: &Decision<'_>, candidate: &Decision<'_>) -> impl Iterator<Item = Difference> {
    Difference::ALL.into_iter().filter(|difference| difference.is_between(live, candidate))
}
