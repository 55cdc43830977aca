//! Explains decisions to trusted clients.

use canary_routing::{Decision, Permission, RouteTable};

/// The response header with the explanation.
pub(crate) struct Explanation {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Explanation {
    /// The explanation for the client. `None` if the client has not asked for it, or is not trusted.
    pub(crate) fn of(decision: &Decision<'_>, table: &RouteTable) -> Option<Self> {
        let is_granted = decision.permissions.explain == Permission::Granted;
        let name = table.steering().explain.as_ref().filter(|_| is_granted)?;
        Some(Self { name: name.as_str().to_owned(), text: decision.explanation() })
    }
}
