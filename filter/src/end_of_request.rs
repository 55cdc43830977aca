//! What the end of a request says of its cluster.

use canary_routing::FallbackReason;
use canary_routing::accrual::Verdict;

use crate::health::{InFlight, KnownHealth};
use crate::host::{Host, HostError};
use crate::tracked_request::{LeftCluster, TrackedRequest};

const FLAGS: &str = "response\0flags";
const STATUS: &str = "response\0code";
const GRPC_STATUS: &str = "response\0grpc_status";
const CLUSTER_NAME: &str = "xds\0cluster_name";
const ADDRESS: &str = "upstream\0address";
const SWITCHING_PROTOCOLS: u64 = 101;

/// Envoy's response flags, by the numbers of their bits.
mod flag {
    /// The bits of these flags.
    pub(super) const fn bits(flags: &[u8]) -> u64 {
        match flags {
            [] => 0,
            [first, rest @ ..] => 1_u64.wrapping_shl(*first as u32) | bits(rest),
        }
    }

    /// `NC`: no cluster of that name.
    pub(super) const NO_CLUSTER: u64 = bits(&[24]);
    /// `UH`: no endpoint that could serve.
    pub(super) const NO_HEALTHY_UPSTREAM: u64 = bits(&[1]);
    /// By the router, for want of a cluster or an endpoint.
    pub(super) const REFUSED: u64 = NO_CLUSTER | NO_HEALTHY_UPSTREAM;
    /// `UT`, `LR`, `UR`, `UF`, `UC`, `UMSDR`, `UPE`: time limits of the upstream, resets, connections that fail or break.
    pub(super) const FAILED: u64 = bits(&[2, 3, 4, 5, 6, 19, 23]);
    /// `DI`, `URX`: a delay before, and tries before, that the result stands for.
    pub(super) const HARMLESS: u64 = bits(&[9, 15]);
    /// `LH`, `UH`, `UO`, `NR`, `FI`, `RL`, `UAEX`, `RLSE`, `DC`, `IH`, `DPE`, `RFCF`, `NFCF`, `DT`, `NC`, `OM`, `DF`, `DO`,
    /// `DR`, `UDO`: answered by the proxy, given up by the client, never sent, or limited on purpose.
    pub(super) const SAYS_NOTHING: u64 =
        bits(&[0, 1, 7, 8, 10, 11, 12, 13, 14, 17, 18, 20, 21, 22, 24, 25, 26, 27, 28, 29]);
}

/// Learns from the request that is ending. A refused connection (`UF`) does not make a cluster missing, nor does any other
/// failure. Costs one property where nothing is learned.
pub(crate) fn learn(host: &impl Host, health: &KnownHealth, request: &TrackedRequest) -> Result<(), HostError> {
    let cluster = &*request.cluster.borrow();
    let Some(flags) = number(host, FLAGS)? else { return Ok(()) };
    learn_of_left(host, health, request, flags)?;
    if flags & flag::NO_CLUSTER != 0 {
        learn_unable(host, health, request, FallbackReason::MissingCluster);
    } else if flags & flag::NO_HEALTHY_UPSTREAM != 0 {
        if went_to(host, cluster)? {
            learn_unable(host, health, request, FallbackReason::NoEndpoints);
        }
    } else {
        let in_flight = request.in_flight.borrow();
        let verdict = in_flight.as_ref().map_or(Ok(None), |in_flight| judge(host, flags, in_flight, request))?;
        let proves = flags == 0 && health.clusters.borrow().wants_success(cluster, request.began);
        // Only a request that has reached an endpoint says something of the cluster.
        if (proves || verdict.is_some()) && host.property(ADDRESS)?.is_some() && went_to(host, cluster)? {
            if proves {
                health.clusters.borrow_mut().succeed(cluster, request.began);
            }
            if let Some((in_flight, verdict)) = in_flight.as_ref().zip(verdict) {
                in_flight.record(host, verdict);
            }
        }
    }
    Ok(())
}

/// Notes the clusters that guards have found missing, where the request has come as far as a route to a cluster: a native
/// route that answers by itself has none, whatever the version.
fn learn_of_left(
    host: &impl Host,
    health: &KnownHealth,
    request: &TrackedRequest,
    flags: u64,
) -> Result<(), HostError> {
    let left = request.take_left();
    if left.is_empty() || (flags & flag::NO_CLUSTER == 0 && !went_to(host, &request.cluster.borrow())?) {
        return Ok(());
    }
    for LeftCluster { cluster, down, .. } in left {
        if let Some(down) = down {
            health.clusters.borrow_mut().learn_late(&cluster, down);
        }
    }
    Ok(())
}

/// What the flags and the status say of the version, if that would change anything. Envoy has no other words for an upgraded
/// connection that its server has closed in order than for one that has broken, so it says nothing how one ends; to have
/// taken the upgrade is what a trial asks for.
fn judge(
    host: &impl Host,
    flags: u64,
    in_flight: &InFlight,
    request: &TrackedRequest,
) -> Result<Option<Verdict>, HostError> {
    in_flight.answered();
    let is_known = flags & !flag::HARMLESS == 0;
    let verdict = if !is_known && number(host, STATUS)? == Some(SWITCHING_PROTOCOLS) {
        in_flight.is_trial().then_some(Verdict::Success)
    } else if flags & flag::SAYS_NOTHING != 0 {
        None
    } else if flags & flag::FAILED != 0 {
        Some(Verdict::Failure)
    } else if in_flight.wants(Verdict::Failure) {
        by_status(host, in_flight, request)?.filter(|verdict| *verdict == Verdict::Failure || is_known)
    } else {
        None
    };
    Ok(verdict.filter(|verdict| in_flight.wants(*verdict)))
}

fn by_status(host: &impl Host, in_flight: &InFlight, request: &TrackedRequest) -> Result<Option<Verdict>, HostError> {
    let Some(status) = number(host, STATUS)?.and_then(|status| u16::try_from(status).ok()) else { return Ok(None) };
    let settings = in_flight.settings();
    if settings.statuses.contains(status) {
        return Ok(Some(Verdict::Failure));
    }
    // Envoy makes up a gRPC status for requests that are none.
    if request.is_grpc
        && let Some(status) = number(host, GRPC_STATUS)?.and_then(|status| u8::try_from(status).ok())
        && settings.grpc_statuses.contains(status)
    {
        return Ok(Some(Verdict::Failure));
    }
    Ok((status > 0).then_some(Verdict::Success))
}

/// Whether the request whose response has come has got as far as the router.
pub(crate) fn was_routed(host: &impl Host) -> bool {
    let was_routed = || {
        let was_refused = number(host, FLAGS)?.is_some_and(|flags| flags & flag::REFUSED != 0);
        Ok::<_, HostError>(was_refused || host.property(ADDRESS)?.is_some())
    };
    was_routed().unwrap_or_else(|error| {
        log::error!("{error}: nobody knows whether a guard would have seen the request");
        false
    })
}

fn learn_unable(host: &impl Host, health: &KnownHealth, request: &TrackedRequest, reason: FallbackReason) {
    if request.ticker.is_running() {
        health.learn(host, &request.cluster.borrow(), reason);
    }
}

/// Whether a native route has not sent the request elsewhere.
fn went_to(host: &impl Host, cluster: &str) -> Result<bool, HostError> {
    Ok(host.property(CLUSTER_NAME)?.is_some_and(|name| name == cluster.as_bytes()))
}

fn number(host: &impl Host, path: &str) -> Result<Option<u64>, HostError> {
    Ok(host.property(path)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}
