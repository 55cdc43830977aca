//! Lines of the log that requests would repeat without end: each kind comes once a second.

use std::cell::RefCell;
use std::collections::HashMap;

use sdk_shims::clock;
use sdk_shims::host::Metric;

/// Least time between two lines of a kind, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;

thread_local! {
    /// When what is counted there was told of. A VM is one thread.
    static TOLD: RefCell<HashMap<Option<Metric>, u64>> = RefCell::default();
}

/// Forgets what the VM told that this thread had before.
pub(crate) fn init() {
    TOLD.take();
}

/// Whether it is time for a line about what this series counts.
pub(crate) fn may_tell(series: Option<Metric>) -> bool {
    let now = clock::steady_nanoseconds().unwrap_or_default();
    TOLD.with_borrow_mut(|told| {
        let may = told.get(&series).is_none_or(|at| now.abs_diff(*at) >= SILENCE);
        if may {
            told.insert(series, now);
        }
        may
    })
}
