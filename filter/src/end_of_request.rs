//! Judges the version that answered a request, when the request ends.

use canary_routing::FallbackReason;
use canary_routing::accrual::Verdict;

use crate::health::{InFlight, VmHealth};
use crate::host::{Host, HostError};
use crate::ticker::Ticker;
use crate::tracked_request::TrackedRequest;
use crate::upstream;

const FLAGS: &str = "response\0flags";
const STATUS: &str = "response\0code";
const GRPC_STATUS: &str = "response\0grpc_status";
const ENDPOINTS: &str = "upstream\0num_endpoints";
const SWITCHING_PROTOCOLS: u64 = 101;
const GATEWAY_TIMEOUT: u16 = 504;
/// CANCELLED and DEADLINE_EXCEEDED: a server ends a call with these if the client's deadline has passed.
const GRPC_OUT_OF_TIME: [u8; 2] = [1, 4];

/// Envoy's response flags, by the number of their bit.
mod flag {
    /// A mask of these bits.
    pub(super) const fn bits(flags: &[u8]) -> u64 {
        match flags {
            [] => 0,
            [first, rest @ ..] => 1_u64.wrapping_shl(*first as u32) | bits(rest),
        }
    }

    /// `NC`: no cluster with this name.
    pub(super) const NO_CLUSTER: u64 = bits(&[24]);
    /// `UH`: no healthy endpoint.
    pub(super) const NO_HEALTHY_UPSTREAM: u64 = bits(&[1]);
    /// `UT`, `LR`, `UR`, `UF`, `UC`, `UMSDR`, `UPE`: upstream timeouts, resets, and failed or broken connections.
    pub(super) const FAILED: u64 = bits(&[2, 3, 4, 5, 6, 19, 23]);
    /// `UF`: no connection to an endpoint. A client cannot cause it.
    pub(super) const UNREACHABLE: u64 = bits(&[5]);
    /// `UT`, `LR`, `UR`, `UMSDR`: a client's own deadline may cause these.
    pub(super) const OUT_OF_TIME: u64 = bits(&[2, 3, 4, 19]);
    /// `DI`, `URX`: a delay, or earlier tries. The result is the one of the last try.
    pub(super) const HARMLESS: u64 = bits(&[9, 15]);
    /// `LH`, `UH`, `UO`, `NR`, `FI`, `RL`, `UAEX`, `RLSE`, `DC`, `IH`, `DPE`, `RFCF`, `NFCF`, `DT`, `NC`, `OM`, `DF`,
    /// `DO`, `DR`, `UDO`: answered by the proxy, cancelled by the client, never sent, or limited on purpose.
    pub(super) const IGNORED: u64 = bits(&[0, 1, 7, 8, 10, 11, 12, 13, 14, 17, 18, 20, 21, 22, 24, 25, 26, 27, 28, 29]);
}

/// Judges the version and the cluster of a request that ends. Costs no property if the request is not tracked for that,
/// and one if the result changes nothing.
pub(crate) fn learn(
    host: &impl Host,
    (health, ticker): (&VmHealth, &Ticker),
    request: &TrackedRequest,
) -> Result<(), HostError> {
    let judges_cluster = request.failover.is_none();
    if !judges_cluster && request.in_flight.is_none() {
        return Ok(());
    }
    let Some(flags) = number(host, FLAGS)? else { return Ok(()) };
    if judges_cluster {
        judge_cluster(host, (health, ticker), request, flags)?;
    }
    let Some(in_flight) = &request.in_flight else { return Ok(()) };
    // The request must have reached an endpoint of the version.
    if let Some(verdict) = judge(host, flags, in_flight, request)?
        && upstream::has_endpoint(host)?
        && went_to_version(host, request)?
    {
        in_flight.record(host, verdict);
    }
    Ok(())
}

/// Without failover clusters, records that a cluster is missing or empty, or can serve again. A refused connection
/// (`UF`) or another failure does not make a cluster missing. A cluster with endpoints is not empty, whichever endpoint
/// the client asked for (`stateful_session`).
fn judge_cluster(
    host: &impl Host,
    (health, ticker): (&VmHealth, &Ticker),
    request: &TrackedRequest,
    flags: u64,
) -> Result<(), HostError> {
    let cluster = &*request.version.cluster;
    let reason = if flags & flag::NO_CLUSTER != 0 {
        Some(FallbackReason::MissingCluster)
    } else if flags & flag::NO_HEALTHY_UPSTREAM != 0 {
        let is_empty = number(host, ENDPOINTS)?.is_none_or(|endpoints| endpoints == 0);
        (is_empty && went_to_version(host, request)?).then_some(FallbackReason::NoEndpoints)
    } else {
        None
    };
    if let Some(reason) = reason.filter(|_| ticker.is_running()) {
        health.learn(host, cluster, reason);
    }
    if flags == 0
        && health.clusters.borrow().would_recover(cluster, request.began)
        && upstream::has_endpoint(host)?
        && went_to_version(host, request)?
    {
        health.clusters.borrow_mut().succeed(cluster, request.began);
    }
    Ok(())
}

/// The verdict by the flags and the status, if it would change anything. Envoy reports an upgraded connection that the
/// server closed in order like a broken one. So the end of such a connection is not judged, and in a trial an accepted
/// upgrade is a success.
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
    } else if flags & flag::IGNORED != 0 {
        None
    } else if flags & flag::FAILED != 0 {
        (flags & version_failures(request) != 0).then_some(Verdict::Failure)
    } else if in_flight.would_change(Verdict::Failure) {
        judge_status(host, in_flight, request)?.filter(|verdict| *verdict == Verdict::Failure || is_known)
    } else {
        None
    };
    Ok(verdict.filter(|verdict| in_flight.would_change(*verdict)))
}

/// The flags that are failures of the version and not of its client.
fn version_failures(request: &TrackedRequest) -> u64 {
    let client = request.client;
    if client.is_large || !client.is_complete {
        flag::UNREACHABLE
    } else if client.has_deadline {
        flag::FAILED & !flag::OUT_OF_TIME
    } else {
        flag::FAILED
    }
}

fn judge_status(
    host: &impl Host,
    in_flight: &InFlight,
    request: &TrackedRequest,
) -> Result<Option<Verdict>, HostError> {
    let Some(status) = number(host, STATUS)?.and_then(|status| u16::try_from(status).ok()) else { return Ok(None) };
    let (settings, client) = (in_flight.settings(), request.client);
    if settings.statuses.contains(status) {
        // The request may be too large for the server, or may never have been complete.
        let is_excused = client.is_large
            || client.has_deadline && status == GATEWAY_TIMEOUT
            || !client.is_complete && !client.is_grpc;
        return Ok((!is_excused).then_some(Verdict::Failure));
    }
    // For other requests Envoy derives a gRPC status from the HTTP status.
    if client.is_grpc
        && let Some(status) = number(host, GRPC_STATUS)?.and_then(|status| u8::try_from(status).ok())
        && settings.grpc_statuses.contains(status)
    {
        let is_excused = client.is_large || client.has_deadline && GRPC_OUT_OF_TIME.contains(&status);
        return Ok((!is_excused).then_some(Verdict::Failure));
    }
    Ok((status > 0).then_some(Verdict::Success))
}

/// Whether the request went to the picked version. A native route may send it elsewhere.
fn went_to_version(host: &impl Host, request: &TrackedRequest) -> Result<bool, HostError> {
    Ok(upstream::is_in(host, &request.version.cluster, request.failover.as_deref())? == Some(true))
}

fn number(host: &impl Host, path: &str) -> Result<Option<u64>, HostError> {
    Ok(host.property(path)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}
