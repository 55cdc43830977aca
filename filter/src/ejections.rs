//! Counts and tells of versions that are ejected, tried and taken back.
//!
//! Of all workers the one that has caused it counts and tells.

use canary_routing::accrual::{Change, Why};
use sdk_shims::log;

use crate::accruals::{Event, News};
use crate::metrics::{self, EJECTIONS, RECOVERIES};

/// Counts and logs one piece of news.
pub(crate) fn tell(News { host, subset, event }: &News) {
    match event {
        Event::Changed(Change::Ejected { why, length, number }) => {
            metrics::count(&EJECTIONS, &[host, subset, why.as_str()]);
            let tenths = length.as_millis().saturating_add(50) / 100;
            log::warn!(
                "ejected: {subset:?} of {host} for {}.{} s (number {number} in succession): {}",
                tenths / 10,
                tenths % 10,
                reason(*why)
            );
        }
        Event::OnTrial => log::info!("on trial: {subset:?} of {host}"),
        Event::Changed(Change::Recovered(successes)) => {
            metrics::count(&RECOVERIES, &[host, subset]);
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
