//! Counts and tells of versions that are ejected, tried and taken back.
//!
//! `canary_ejections_total.HOST.VERSION.WHY` and `canary_recoveries_total.HOST.VERSION`: no version is `-`. Of all workers
//! the one that has caused it counts and tells.

use std::cell::RefCell;

use canary_routing::accrual::{Change, Why};
use sdk_shims::log;

use crate::accruals::{Event, News};
use crate::counters::Counters;

thread_local! {
    /// A VM is one thread.
    static EJECTIONS: RefCell<Counters> = RefCell::new(Counters::new("canary_ejections_total"));
    static RECOVERIES: RefCell<Counters> = RefCell::new(Counters::new("canary_recoveries_total"));
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    EJECTIONS.with_borrow_mut(Counters::clear);
    RECOVERIES.with_borrow_mut(Counters::clear);
}

/// Counts and logs one piece of news.
pub(crate) fn tell(News { host, subset, event }: &News) {
    match event {
        Event::Changed(Change::Ejected { why, length, number }) => {
            EJECTIONS.with_borrow_mut(|ejections| ejections.count(host, &[subset, why.as_str()]));
            let seconds = length.as_secs_f64();
            log::warn!(
                "ejected: {subset:?} of {host} for {seconds:.1} s (number {number} in succession): {}",
                reason(*why)
            );
        }
        Event::OnTrial => log::info!("on trial: {subset:?} of {host}"),
        Event::Changed(Change::Recovered(successes)) => {
            RECOVERIES.with_borrow_mut(|recoveries| recoveries.count(host, &[subset]));
            log::info!("recovered: {subset:?} of {host} after {successes} successes in succession");
        }
    }
}

fn reason(why: Why) -> String {
    match why {
        Why::ConsecutiveFailures(failures) => format!("{failures} failures in succession"),
        Why::FailureRatio(failures, requests) => format!("{failures} of {requests} requests in the window failed"),
        Why::Trial => "a request of its trial failed".to_owned(),
    }
}
