//! Counts and logs versions that are ejected, tried and taken back: in the worker that has caused it.

use canary_routing::accrual::{Change, Why};

use super::metrics::Registry;
use super::metrics::catalogue::{EJECTIONS, RECOVERIES};
use crate::health::{Event, Transition};
use crate::host::Host;

/// Counts and logs one change.
pub(crate) fn report(proxy: &impl Host, registry: &Registry, Transition { host, subset, event }: &Transition) {
    match event {
        Event::Changed(Change::Ejected { why, length, number }) => {
            registry.count(proxy, &EJECTIONS, &[host, subset, why.as_str()]);
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
            registry.count(proxy, &RECOVERIES, &[host, subset]);
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
