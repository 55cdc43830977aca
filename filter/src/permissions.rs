//! Counts what became of clients' wishes in control headers.
//!
//! `canary_overrides_total.WISH.ANSWER`: `version` or `explain`, and `granted` or `refused`.

use std::cell::RefCell;

use canary_routing::{Permission, Permissions};

use crate::counters::Counters;

thread_local! {
    /// A VM is one thread.
    static OVERRIDES: RefCell<Counters> = RefCell::new(Counters::new("canary_overrides_total"));
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    OVERRIDES.with_borrow_mut(Counters::clear);
}

/// Counts the wishes of one request, if it has any.
pub(crate) fn count(permissions: Permissions) {
    for (wish, permission) in [("version", permissions.version), ("explain", permissions.explain)] {
        if permission != Permission::NotAsked {
            OVERRIDES.with_borrow_mut(|overrides| overrides.count_words(&[wish, permission.as_str()]));
        }
    }
}
