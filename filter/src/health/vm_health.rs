//! The health of clusters and versions in a VM. The VMs with one id share it.

use std::cell::RefCell;
use std::rc::Rc;

use canary_routing::{FallbackReason, Health};

use super::accruals::VersionEvent;
use super::cluster_health::{ClusterHealth, Outage};
use super::exchange::exchange_if_due;
use super::in_flight::Requests;
use crate::host::Host;

/// The health of clusters and versions. A look-up by [`Health`] costs no host call.
#[derive(Debug, Default)]
pub(crate) struct VmHealth {
    pub(crate) clusters: RefCell<ClusterHealth>,
    pub(crate) requests: Rc<Requests>,
}

impl Health for VmHealth {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        let known = self.clusters.borrow().unavailable(cluster);
        known.or_else(|| self.requests.accruals.borrow().unavailable(cluster))
    }

    fn may_try(&self, cluster: &str) -> bool {
        self.requests.accruals.borrow().may_try(cluster)
    }
}

impl VmHealth {
    /// The start time for a request that begins now: the time of the last tick. Costs no host call.
    pub(crate) fn last_tick(&self) -> u64 {
        self.clusters.borrow().last_tick()
    }

    /// Records that a cluster cannot serve now.
    pub(crate) fn learn(&self, host: &impl Host, cluster: &str, reason: FallbackReason) {
        match host.unix_nanoseconds() {
            Ok(now) => self.clusters.borrow_mut().learn(cluster, Outage::new(reason, now)),
            // Without the time the outage would never expire, so it is not recorded.
            Err(error) => log::error!("{error}: {cluster} is not avoided ({})", reason.as_str()),
        }
    }

    /// Exchanges the health of clusters if it is time. Called by the tick.
    pub(crate) fn exchange_clusters(&self, host: &impl Host) {
        exchange_if_due(host, &self.clusters);
    }

    /// Judges slow requests, and exchanges the state of versions if it is time. Returns the events. Called by the tick.
    pub(crate) fn judge_versions(&self, host: &impl Host) -> Vec<VersionEvent> {
        if let Err(error) = self.requests.judge_waiting(host) {
            log::error!("{error}: slow requests are not counted");
        }
        exchange_if_due(host, &self.requests.accruals);
        self.requests.accruals.borrow_mut().take_events()
    }
}
