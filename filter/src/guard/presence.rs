//! Whether a guard stands behind a filter.

use std::cell::Cell;

/// Counts the guards of a VM, and knows whether it has a filter for them.
#[derive(Debug, Default)]
pub(crate) struct GuardPresence {
    configured: Cell<u32>,
    has_filter: Cell<bool>,
}

/// Whether a guard stands behind one filter. Where the VM has one it is expected to, until a request has come back that no
/// guard has seen.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    /// How many guards the VM had had when that happened.
    missed: Cell<u32>,
}

impl GuardPresence {
    /// A guard has been configured.
    pub(crate) fn announce(&self) {
        self.configured.set(self.configured.get().saturating_add(1));
    }

    /// A filter that may have something for a guard has been configured.
    pub(crate) fn announce_filter(&self) {
        self.has_filter.set(true);
    }

    /// Whether the VM has ever had such a filter.
    pub(crate) const fn has_filter(&self) -> bool {
        self.has_filter.get()
    }

    /// Whether the VM has ever had a guard.
    pub(crate) const fn is_known(&self) -> bool {
        self.configured.get() > 0
    }
}

impl Guarded {
    /// Whether a guard will see the requests that are registered.
    pub(crate) const fn is_expected(&self, guards: &GuardPresence) -> bool {
        guards.configured.get() > self.missed.get()
    }

    /// A guard has seen a request.
    pub(crate) fn found(&self) {
        self.missed.set(0);
    }

    /// A request has come back that no guard has seen.
    pub(crate) fn missed(&self, guards: &GuardPresence) {
        self.missed.set(guards.configured.get());
    }
}
