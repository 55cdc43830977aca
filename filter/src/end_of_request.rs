//! What the end of a request says of the version that has answered it.

use canary_routing::FallbackReason;
use canary_routing::accrual::Verdict;

use crate::health::{InFlight, KnownHealth};
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
/// CANCELLED and DEADLINE_EXCEEDED: how a server ends a call whose client has no more time.
const GRPC_OUT_OF_TIME: [u8; 2] = [1, 4];

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
    /// `UT`, `LR`, `UR`, `UF`, `UC`, `UMSDR`, `UPE`: time limits of the upstream, resets, connections that fail or break.
    pub(super) const FAILED: u64 = bits(&[2, 3, 4, 5, 6, 19, 23]);
    /// `UF`: no connection to an endpoint. No client can bring that about.
    pub(super) const UNREACHABLE: u64 = bits(&[5]);
    /// `UT`, `LR`, `UR`, `UMSDR`: what may end a request whose client has no more time.
    pub(super) const OUT_OF_TIME: u64 = bits(&[2, 3, 4, 19]);
    /// `DI`, `URX`: a delay before, and tries before, that the result stands for.
    pub(super) const HARMLESS: u64 = bits(&[9, 15]);
    /// `LH`, `UH`, `UO`, `NR`, `FI`, `RL`, `UAEX`, `RLSE`, `DC`, `IH`, `DPE`, `RFCF`, `NFCF`, `DT`, `NC`, `OM`, `DF`, `DO`,
    /// `DR`, `UDO`: answered by the proxy, given up by the client, never sent, or limited on purpose.
    pub(super) const SAYS_NOTHING: u64 =
        bits(&[0, 1, 7, 8, 10, 11, 12, 13, 14, 17, 18, 20, 21, 22, 24, 25, 26, 27, 28, 29]);
}

/// Learns from the request that is ending. Costs one property where nothing is learned, and none where there is nothing to learn.
pub(crate) fn learn(
    host: &impl Host,
    (health, ticker): (&KnownHealth, &Ticker),
    request: &TrackedRequest,
) -> Result<(), HostError> {
    let learns_of_cluster = request.failover.is_none();
    if !learns_of_cluster && request.in_flight.is_none() {
        return Ok(());
    }
    let Some(flags) = number(host, FLAGS)? else { return Ok(()) };
    if learns_of_cluster {
        learn_of_cluster(host, (health, ticker), request, flags)?;
    }
    let Some(in_flight) = &request.in_flight else { return Ok(()) };
    // Only a request that has reached an endpoint says something of its version.
    if let Some(verdict) = judge(host, flags, in_flight, request)?
        && upstream::has_endpoint(host)?
        && went_to_version(host, request)?
    {
        in_flight.record(host, verdict);
    }
    Ok(())
}

/// Where the proxy has no failover clusters: notes a cluster that is missing or empty, or can serve again. A refused connection
/// (`UF`) makes no cluster missing, nor does any other failure; and a cluster that has endpoints is not empty, whichever the
/// client was looking for (`stateful_session`).
fn learn_of_cluster(
    host: &impl Host,
    (health, ticker): (&KnownHealth, &Ticker),
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
        && health.clusters.borrow().wants_success(cluster, request.began)
        && upstream::has_endpoint(host)?
        && went_to_version(host, request)?
    {
        health.clusters.borrow_mut().succeed(cluster, request.began);
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
        (flags & of_version(request) != 0).then_some(Verdict::Failure)
    } else if in_flight.wants(Verdict::Failure) {
        by_status(host, in_flight, request)?.filter(|verdict| *verdict == Verdict::Failure || is_known)
    } else {
        None
    };
    Ok(verdict.filter(|verdict| in_flight.wants(*verdict)))
}

/// The flags that say that the version has failed, and not its client.
fn of_version(request: &TrackedRequest) -> u64 {
    let client = request.client;
    if client.is_large || !client.is_complete {
        flag::UNREACHABLE
    } else if client.has_deadline {
        flag::FAILED & !flag::OUT_OF_TIME
    } else {
        flag::FAILED
    }
}

fn by_status(host: &impl Host, in_flight: &InFlight, request: &TrackedRequest) -> Result<Option<Verdict>, HostError> {
    let Some(status) = number(host, STATUS)?.and_then(|status| u16::try_from(status).ok()) else { return Ok(None) };
    let (settings, client) = (in_flight.settings(), request.client);
    if settings.statuses.contains(status) {
        // A server may answer so what is too large for it, or never comes to its end.
        let is_excused = client.is_large
            || client.has_deadline && status == GATEWAY_TIMEOUT
            || !client.is_complete && !client.is_grpc;
        return Ok((!is_excused).then_some(Verdict::Failure));
    }
    // Envoy makes up a gRPC status for requests that are none.
    if client.is_grpc
        && let Some(status) = number(host, GRPC_STATUS)?.and_then(|status| u8::try_from(status).ok())
        && settings.grpc_statuses.contains(status)
    {
        let is_excused = client.is_large || client.has_deadline && GRPC_OUT_OF_TIME.contains(&status);
        return Ok((!is_excused).then_some(Verdict::Failure));
    }
    Ok((status > 0).then_some(Verdict::Success))
}

/// Whether a native route has not sent the request elsewhere.
fn went_to_version(host: &impl Host, request: &TrackedRequest) -> Result<bool, HostError> {
    Ok(upstream::is_in(host, &request.version.cluster, request.failover.as_deref())? == Some(true))
}

fn number(host: &impl Host, path: &str) -> Result<Option<u64>, HostError> {
    Ok(host.property(path)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}
