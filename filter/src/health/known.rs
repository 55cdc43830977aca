//! Everything that a VM knows of clusters and versions, kept up to date with the other VMs of its id.

use std::cell::RefCell;
use std::rc::Rc;

use canary_routing::{FallbackReason, Health};

use super::accruals::{Ejected, Transition};
use super::cluster_health::{ClusterHealth, Down, Known};
use super::exchange::keep_up;
use super::in_flight::Requests;
use crate::host::Host;

/// What a VM knows. As [`Health`] it is what is known now, without any host call.
#[derive(Debug, Default)]
pub(crate) struct KnownHealth {
    pub(crate) clusters: RefCell<ClusterHealth>,
    pub(crate) requests: Rc<Requests>,
}

/// What was known at one time.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    clusters: Rc<Known>,
    ejected: Rc<Ejected>,
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

impl Health for Snapshot {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.clusters.unavailable(cluster).or_else(|| self.ejected.unavailable(cluster))
    }

    fn may_try(&self, cluster: &str) -> bool {
        self.ejected.may_try(cluster)
    }
}

impl KnownHealth {
    /// What is known now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { clusters: self.clusters.borrow().known(), ejected: self.requests.accruals.borrow().ejected() }
    }

    /// When a request that begins now begins, to the tick and without any host call.
    pub(crate) fn last_tick(&self) -> u64 {
        self.clusters.borrow().last_tick()
    }

    /// Notes that a cluster is found unable to serve now.
    pub(crate) fn learn(&self, host: &impl Host, cluster: &str, reason: FallbackReason) {
        if let Some(down) = down(host, cluster, reason) {
            self.clusters.borrow_mut().learn(cluster, down);
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

/// A cluster that is found unable to serve now. What could not be timed is not learned: it would never be forgotten.
pub(crate) fn down(host: &impl Host, cluster: &str, reason: FallbackReason) -> Option<Down> {
    host.unix_nanoseconds()
        .map(|now| Down::found(reason, now))
        .map_err(|error| log::error!("{error}: {cluster} is not passed over ({})", reason.as_str()))
        .ok()
}
