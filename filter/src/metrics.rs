//! The filter's statistics.

use std::cell::Cell;

use sdk_shims::host::{Counter, HostError};
use sdk_shims::log;

/// Requests that passed undelayed because `faults.maxActive` others were being delayed.
const DELAYS_SKIPPED: &str = "canary_delays_skipped_total";

thread_local! {
    /// A VM is one thread.
    static DELAYS_SKIPPED_COUNTER: Cell<Option<Counter>> = const { Cell::new(None) };
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    DELAYS_SKIPPED_COUNTER.set(None);
}

/// Defines what is not yet defined, so that it is shown from the start.
pub(crate) fn define() {
    if let Err(error) = delays_skipped() {
        log::error!("{error}: {DELAYS_SKIPPED} is not shown yet");
    }
}

pub(crate) fn count_skipped_delay() {
    if let Err(error) = delays_skipped().and_then(Counter::increment) {
        log::error!("{error}: {DELAYS_SKIPPED} lacks one");
    }
}

fn delays_skipped() -> Result<Counter, HostError> {
    if let Some(counter) = DELAYS_SKIPPED_COUNTER.get() {
        return Ok(counter);
    }
    let counter = Counter::define(DELAYS_SKIPPED)?;
    DELAYS_SKIPPED_COUNTER.set(Some(counter));
    Ok(counter)
}
