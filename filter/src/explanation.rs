//! Tells trusted clients why their requests go where they go.

use std::borrow::Cow;

use canary_routing::{Decision, Permission, RouteTable};

use crate::delays::Ending;
use crate::response::ResponseChange;

/// A header of the response.
pub(crate) struct Explanation {
    name: String,
    text: String,
}

impl Explanation {
    /// What the client is told; `None` where it has not asked, or is not trusted.
    pub(crate) fn of(decision: &Decision<'_>, table: &RouteTable) -> Option<Self> {
        let name = table.headers().explain().filter(|_| decision.permissions.explain == Permission::Granted)?;
        Some(Self { name: name.to_owned(), text: decision.explanation() })
    }

    /// Joins it to the filter's own answer, or to the one that will come.
    pub(crate) fn join(self, ending: &mut Ending<'_>, response: &mut Vec<ResponseChange>) {
        match ending {
            Ending::Reply(reply) => reply.headers.push((Cow::Owned(self.name), Cow::Owned(self.text.into()))),
            Ending::Resume => response.push(ResponseChange::Set(self.name, self.text.into())),
        }
    }
}
