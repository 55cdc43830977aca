//! What the end of a request says of its cluster.

use canary_routing::FallbackReason;
use canary_routing::accrual::Verdict;
use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use crate::flight::Flight;
use crate::handover::Handover;
use crate::sharing;

const FLAGS: [&str; 2] = ["response", "flags"];
const STATUS: [&str; 2] = ["response", "code"];
const GRPC_STATUS: [&str; 2] = ["response", "grpc_status"];
const CLUSTER_NAME: [&str; 2] = ["xds", "cluster_name"];
const ADDRESS: [&str; 2] = ["upstream", "address"];
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
/// failure.
pub(crate) fn end_of_stream(handover: &Handover) -> Result<(), HostError> {
    let cluster = &*handover.cluster.borrow();
    let Some(flags) = number(&FLAGS)? else { return Ok(()) };
    if flags & flag::NO_CLUSTER != 0 {
        learn(handover, FallbackReason::MissingCluster);
    } else if flags & flag::NO_HEALTHY_UPSTREAM != 0 {
        if went_to(cluster)? {
            learn(handover, FallbackReason::NoEndpoints);
        }
    } else {
        let flight = handover.flight.borrow();
        let verdict = flight.as_ref().map_or(Ok(None), |flight| judge(flags, flight, handover))?;
        let proves = flags == 0 && sharing::look(|knowledge| knowledge.wants_success(cluster));
        // Only a request that has reached an endpoint says something of the cluster.
        if (proves || verdict.is_some()) && host::property(&ADDRESS)?.is_some() && went_to(cluster)? {
            if proves {
                sharing::note(|knowledge| knowledge.succeed(cluster));
            }
            if let Some((flight, verdict)) = flight.as_ref().zip(verdict) {
                flight.record(verdict);
            }
        }
    }
    Ok(())
}

/// What the flags and the status say of the version, if that would change anything. Envoy has no other words for an upgraded
/// connection that its server has closed in order than for one that has broken, so it says nothing how one ends; to have
/// taken the upgrade is what a trial asks for.
fn judge(flags: u64, flight: &Flight, handover: &Handover) -> Result<Option<Verdict>, HostError> {
    flight.answered();
    let is_known = flags & !flag::HARMLESS == 0;
    let verdict = if !is_known && status()? == Some(SWITCHING_PROTOCOLS) {
        flight.is_trial().then_some(Verdict::Success)
    } else if flags & flag::SAYS_NOTHING != 0 {
        None
    } else if flags & flag::FAILED != 0 {
        Some(Verdict::Failure)
    } else if flight.wants(Verdict::Failure) {
        by_status(flight, handover)?.filter(|verdict| *verdict == Verdict::Failure || is_known)
    } else {
        None
    };
    Ok(verdict.filter(|verdict| flight.wants(*verdict)))
}

fn by_status(flight: &Flight, handover: &Handover) -> Result<Option<Verdict>, HostError> {
    let Some(status) = number(&STATUS)?.and_then(|status| u16::try_from(status).ok()) else { return Ok(None) };
    if flight.with_settings(|settings| settings.statuses.contains(status)) {
        return Ok(Some(Verdict::Failure));
    }
    // Envoy makes up a gRPC status for requests that are none.
    if handover.is_grpc
        && let Some(status) = number(&GRPC_STATUS)?.and_then(|status| u8::try_from(status).ok())
        && flight.with_settings(|settings| settings.grpc_statuses.contains(status))
    {
        return Ok(Some(Verdict::Failure));
    }
    Ok((status > 0).then_some(Verdict::Success))
}

/// Whether the request whose response has come has got as far as the router.
pub(crate) fn was_routed() -> bool {
    let was_routed = || {
        let was_refused = number(&FLAGS)?.is_some_and(|flags| flags & flag::REFUSED != 0);
        Ok::<_, HostError>(was_refused || host::property(&ADDRESS)?.is_some())
    };
    was_routed().unwrap_or_else(|error| {
        log::error!("{error}: nobody knows whether a guard would have seen the request");
        false
    })
}

/// The status that the client has got; `None` where none was sent.
pub(crate) fn status() -> Result<Option<u64>, HostError> {
    number(&STATUS)
}

fn learn(handover: &Handover, reason: FallbackReason) {
    if handover.ticker.is_running() {
        sharing::learn(&handover.cluster.borrow(), reason);
    }
}

/// Whether a native route has not sent the request elsewhere.
fn went_to(cluster: &str) -> Result<bool, HostError> {
    Ok(host::property(&CLUSTER_NAME)?.is_some_and(|name| name == cluster.as_bytes()))
}

fn number(path: &[&str]) -> Result<Option<u64>, HostError> {
    Ok(host::property(path)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}
