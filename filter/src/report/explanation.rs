//! Explains to trusted clients why their requests go where they go.

use canary_routing::{Decision, Permission, RouteTable};

/// A header of the response.
pub(crate) struct Explanation {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Explanation {
    /// What the client gets; `None` where it has not asked, or is not trusted.
    pub(crate) fn of(decision: &Decision<'_>, table: &RouteTable) -> Option<Self> {
        let is_granted = decision.permissions.explain == Permission::Granted;
        let name = table.steering().explain.as_ref().filter(|_| is_granted)?;
        Some(Self { name: name.as_str().to_owned(), text: decision.explanation() })
    }
}
