//! `role` and `guard`: the filter's second role, right before the router.

use crate::node::{Fields, Node};

/// Which of the filter's two roles a document configures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    #[default]
    Filter,
    /// It stands right before the router and moves requests away from clusters that cannot serve.
    Guard,
}

/// How the guard judges clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guard {
    /// `None` leaves it to the document of the other role, and then to [`Endpoints::Learned`].
    pub endpoints: Option<Endpoints>,
}

/// What a cluster's number of endpoints may be believed to say. It is a statistic: where the proxy leaves it out, and for
/// aggregate and ORIGINAL_DST clusters, it is 0 whatever the cluster can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// A 0 counts for a cluster that has been seen with endpoints.
    #[default]
    Learned,
    /// A 0 always counts.
    Trusted,
    /// The number is not looked at.
    Ignored,
}

/// What only the deciding role has a use for.
const OF_THE_FILTER: [&str; 12] = [
    "mode",
    "virtualServices",
    "destinationRules",
    "services",
    "clusters",
    "proxy",
    "faults",
    "policies",
    "overrides",
    "candidate",
    "metrics",
    "filterState",
];

impl Role {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let Some(role) = fields.get("role") else { return Self::default() };
        match role.string() {
            Some("guard") => {
                for field in OF_THE_FILTER.iter().filter_map(|name| fields.get(name)) {
                    field.invalid(
                        "a guard's document holds role, guard and headers; the rules come from the filter before it",
                    );
                }
                Self::Guard
            }
            Some(other) => {
                role.invalid(format!("role is guard, or not given, not {other:?}"));
                Self::Filter
            }
            None => Self::Filter,
        }
    }
}

impl Guard {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let endpoints = fields.get("endpoints").and_then(|endpoints| match endpoints.string()? {
            "learned" => Some(Endpoints::Learned),
            "trusted" => Some(Endpoints::Trusted),
            "ignored" => Some(Endpoints::Ignored),
            other => {
                endpoints.invalid(format!("endpoints is learned, trusted or ignored, not {other:?}"));
                None
            }
        });
        fields.finish();
        Some(Self { endpoints })
    }
}
