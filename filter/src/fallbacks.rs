//! Counts and tells of versions that gave way to others.
//!
//! `canary_fallbacks_total.HOST.FROM.TO.REASON`: no version is `-`; a version that a client made up is `unknown`.

use std::cell::RefCell;

use canary_routing::FallbackReason;
use canary_routing::route::Destination;
use sdk_shims::log;

use crate::counters::Counters;

thread_local! {
    /// A VM is one thread.
    static FALLBACKS: RefCell<Counters> = RefCell::new(Counters::new("canary_fallbacks_total"));
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    FALLBACKS.with_borrow_mut(Counters::clear);
}

/// Counts a fallback to a destination. `from` is the version that gave way; a client may have made it up.
pub(crate) fn count(to: &Destination, from: Option<&str>, reason: FallbackReason) {
    let (from, subset) = (from.unwrap_or("-"), to.subset.as_deref().unwrap_or("-"));
    let counted = if reason == FallbackReason::UnknownVersion { "unknown" } else { from };
    let parts = [counted, subset, reason.as_str()];
    if FALLBACKS.with_borrow_mut(|fallbacks| fallbacks.count(&to.host, &parts)) {
        log::info!("fallback: {} from {from:?} to {subset:?}: {} (told once a second)", to.host, reason.as_str());
    }
}
