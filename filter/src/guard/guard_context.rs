//! What the filter leaves for the guard of the same stream, inside the VM that both run in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use canary_routing::Draws;

use super::presence::{GuardPresence, Guarded};
use crate::filter_table::FilterTable;
use crate::health::Snapshot;
use crate::host::OwnedPairs;
use crate::tracked_request::TrackedRequest;

/// A stream that a guard may see.
pub(crate) struct GuardContext {
    pub(crate) request: Rc<TrackedRequest>,
    guarded: Rc<Guarded>,
    /// Until a guard has passed the stream on where it was going, or its response has come: streams may last, and header
    /// maps may be large.
    applied: RefCell<Option<Applied>>,
    /// Whether a guard has seen the stream.
    is_guarded: Cell<bool>,
}

/// A decision that was applied, as what it takes to make it again: the same request, draws and health give the same one.
pub(crate) struct Applied {
    pub(crate) table: Rc<FilterTable>,
    /// The request's headers as the client sent them.
    pub(crate) headers: OwnedPairs,
    pub(crate) draws: Draws,
    pub(crate) health: Snapshot,
    /// Whether faults are left to the guard.
    pub(crate) leaves_faults: bool,
    /// Whether the client gets an explanation.
    pub(crate) is_explained: bool,
}

impl GuardContext {
    pub(crate) const fn new(request: Rc<TrackedRequest>, guarded: Rc<Guarded>, applied: Applied) -> Self {
        Self { request, guarded, applied: RefCell::new(Some(applied)), is_guarded: Cell::new(false) }
    }

    /// What was applied, for the guard; `None` where another guard has passed the stream on.
    pub(crate) fn take(&self) -> Option<Applied> {
        self.guarded.found();
        self.is_guarded.set(true);
        self.applied.take()
    }

    /// A guard has moved the request; another one may judge where to.
    pub(crate) fn give_back(&self, applied: Applied) {
        self.applied.replace(Some(applied));
    }

    /// The response has come: no guard will see the request any more. `was_routed` says whether it has got as far as the
    /// router, in front of which a guard would have stood.
    pub(crate) fn close(&self, guards: &GuardPresence, was_routed: impl FnOnce() -> bool) {
        let is_unseen = self.applied.take().is_some() && !self.is_guarded.get();
        if is_unseen && self.guarded.is_expected(guards) && was_routed() {
            self.guarded.missed(guards);
        }
    }
}
