//! Counts and logs ejections, trials and recoveries, in the worker that caused them.

use canary_routing::accrual::{EjectionReason, Transition};

use super::metrics::Registry;
use super::metrics::catalogue::{EJECTIONS, RECOVERIES};
use crate::health::{Event, VersionEvent};
use crate::host::Host;

/// Counts and logs one event.
pub(crate) fn report(proxy: &impl Host, registry: &Registry, VersionEvent { host, subset, event }: &VersionEvent) {
    match event {
        Event::Changed(Transition::Ejected { reason, length, number }) => {
            registry.count(proxy, &EJECTIONS, &[host, subset, reason.as_str()]);
            let tenths = length.as_millis().saturating_add(50) / 100;
            log::warn!(
                "ejected: {subset:?} of {host} for {}.{} s (number {number} in succession): {}",
                tenths / 10,
                tenths % 10,
                describe(*reason)
            );
        }
        Event::OnTrial => log::info!("on trial: {subset:?} of {host}"),
        Event::Changed(Transition::Recovered(successes)) => {
            registry.count(proxy, &RECOVERIES, &[host, subset]);
            log::info!("recovered: {subset:?} of {host} after {successes} successes in succession");
        }
    }
}

fn describe(reason: EjectionReason) -> String {
    match reason {
        EjectionReason::ConsecutiveFailures(failures) => format!("{failures} failures in succession"),
        EjectionReason::FailureRatio(failures, requests) => {
            format!("{failures} of {requests} requests in the window failed")
        }
        EjectionReason::Trial => "a request of its trial failed".to_owned(),
    }
}
