//! What the end of a request says of its cluster.

use canary_routing::FallbackReason;
use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use crate::sharing;
use crate::ticker::Ticker;

const FLAGS: [&str; 2] = ["response", "flags"];
const STATUS: [&str; 2] = ["response", "code"];
const CLUSTER_NAME: [&str; 2] = ["xds", "cluster_name"];
const ADDRESS: [&str; 2] = ["upstream", "address"];

/// `NC`: no cluster of that name.
const NO_CLUSTER: u64 = 1 << 24;
/// `UH`: no endpoint that could serve.
const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;

/// Learns from the request that is ending. `cluster` is where it went to. A refused connection (`UF`) does not make a
/// cluster missing, nor does any other failure.
pub(crate) fn end_of_stream(cluster: &str, ticker: &Ticker) -> Result<(), HostError> {
    match flags()? {
        Some(flags) if flags & NO_CLUSTER != 0 => learn(cluster, FallbackReason::MissingCluster, ticker),
        Some(flags) if flags & NO_HEALTHY_UPSTREAM != 0 && went_to(cluster)? => {
            learn(cluster, FallbackReason::NoEndpoints, ticker);
        }
        // Only a request that has reached an endpoint says that the cluster can serve.
        Some(0) if sharing::look(|knowledge| knowledge.wants_success(cluster)) => {
            if host::property(&ADDRESS)?.is_some() && went_to(cluster)? {
                sharing::note(|knowledge| knowledge.succeed(cluster));
            }
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Whether the request whose response has come has got as far as the router.
pub(crate) fn was_routed() -> bool {
    let was_routed = || {
        let was_refused = flags()?.is_some_and(|flags| flags & (NO_CLUSTER | NO_HEALTHY_UPSTREAM) != 0);
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

fn flags() -> Result<Option<u64>, HostError> {
    number(&FLAGS)
}

fn number(path: &[&str]) -> Result<Option<u64>, HostError> {
    Ok(host::property(path)?.and_then(|number| number.try_into().ok()).map(u64::from_le_bytes))
}

fn learn(cluster: &str, reason: FallbackReason, ticker: &Ticker) {
    if ticker.is_running() {
        sharing::learn(cluster, reason);
    }
}

/// Whether a native route has not sent the request elsewhere.
fn went_to(cluster: &str) -> Result<bool, HostError> {
    Ok(host::property(&CLUSTER_NAME)?.is_some_and(|name| name == cluster.as_bytes()))
}
