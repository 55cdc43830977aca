//! Counts and tells of versions that gave way to others.

use std::cell::RefCell;
use std::collections::HashMap;

use canary_routing::FallbackReason;
use canary_routing::route::Destination;
use sdk_shims::clock;
use sdk_shims::host::Metric;
use sdk_shims::log;

use crate::metrics::{self, FALLBACKS};

/// Least time between two lines about the same kind of fallback, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;
/// Stands for a service as a whole.
const NO_VERSION: &str = "-";

thread_local! {
    /// When a fallback that is counted there was told of. A VM is one thread.
    static TOLD: RefCell<HashMap<Option<Metric>, u64>> = RefCell::default();
}

/// Forgets what the VM told that this thread had before.
pub(crate) fn init() {
    TOLD.take();
}

/// Counts a fallback to a destination. `from` is the version that gave way; a client may have made it up, and then it is
/// counted as `unknown`.
pub(crate) fn count(to: &Destination, from: Option<&str>, reason: FallbackReason) {
    let from = from.unwrap_or(NO_VERSION);
    let to_version = to.subset.as_deref().unwrap_or(NO_VERSION);
    let counted_from = if reason == FallbackReason::UnknownVersion { "unknown" } else { from };
    let series = metrics::count(&FALLBACKS, &[&to.host, counted_from, to_version, reason.as_str()]);
    if may_tell(series) {
        log::info!("fallback: {} from {from:?} to {to_version:?}: {} (told once a second)", to.host, reason.as_str());
    }
}

fn may_tell(series: Option<Metric>) -> bool {
    let now = clock::steady_nanoseconds().unwrap_or_default();
    TOLD.with_borrow_mut(|told| {
        let may = told.get(&series).is_none_or(|at| now.abs_diff(*at) >= SILENCE);
        if may {
            told.insert(series, now);
        }
        may
    })
}
