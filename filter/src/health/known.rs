//! Everything that a VM knows of clusters and versions, kept up to date with the other VMs of its id.

use std::cell::RefCell;
use std::rc::Rc;

use canary_routing::{FallbackReason, Health};

use super::accruals::Transition;
use super::cluster_health::{ClusterHealth, Down};
use super::exchange::keep_up;
use super::in_flight::Requests;
use crate::host::Host;

/// What a VM knows. As [`Health`] it is what is known now, without any host call.
#[derive(Debug, Default)]
pub(crate) struct KnownHealth {
    pub(crate) clusters: RefCell<ClusterHealth>,
    pub(crate) requests: Rc<Requests>,
}

impl Health for KnownHealth {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        let known = self.clusters.borrow().unavailable(cluster);
        known.or_else(|| self.requests.accruals.borrow().unavailable(cluster))
    }

    fn may_try(&self, cluster: &str) -> bool {
        self.requests.accruals.borrow().may_try(cluster)
    }
}

impl KnownHealth {
    /// When a request that begins now begins, to the tick and without any host call.
    pub(crate) fn last_tick(&self) -> u64 {
        self.clusters.borrow().last_tick()
    }

    /// Notes that a cluster is found unable to serve now.
    pub(crate) fn learn(&self, host: &impl Host, cluster: &str, reason: FallbackReason) {
        match host.unix_nanoseconds() {
            Ok(now) => self.clusters.borrow_mut().learn(cluster, Down::found(reason, now)),
            // What could not be timed is not learned: it would never be forgotten.
            Err(error) => log::error!("{error}: {cluster} is not passed over ({})", reason.as_str()),
        }
    }

    /// Exchanges what is known of clusters, if it is time. Called in ticks.
    pub(crate) fn exchange_clusters(&self, host: &impl Host) {
        keep_up(host, &self.clusters);
    }

    /// Judges the failures of versions with the other VMs, if it is time: what changes. Called in ticks.
    pub(crate) fn judge_versions(&self, host: &impl Host) -> Vec<Transition> {
        if let Err(error) = self.requests.judge_waiting(host) {
            log::error!("{error}: no request is found to be slow");
        }
        keep_up(host, &self.requests.accruals);
        self.requests.accruals.borrow_mut().take_transitions()
    }
}
