//! Counts and logs fallbacks.

use canary_routing::{Destination, FallbackReason};

use super::log_limit::LogLimit;
use super::metrics::Registry;
use super::metrics::catalogue::FALLBACKS;
use crate::host::Host;

/// The label of a service as a whole.
const NO_VERSION: &str = "-";

/// Counts a fallback to a destination. `from` is the version that was replaced. A client may have made up its name, and
/// then it counts as `unknown`.
pub(crate) fn count(
    host: &impl Host,
    (registry, limit): (&Registry, &LogLimit),
    to: &Destination,
    from: Option<&str>,
    reason: FallbackReason,
) {
    let from = from.unwrap_or(NO_VERSION);
    let to_version = to.subset.as_deref().unwrap_or(NO_VERSION);
    let counted_from = if reason == FallbackReason::UnknownVersion { "unknown" } else { from };
    let series = registry.count(host, &FALLBACKS, &[&to.host, counted_from, to_version, reason.as_str()]);
    if limit.allows(host, series) {
        log::info!("fallback: {} from {from:?} to {to_version:?}: {} (logged once a second)", to.host, reason.as_str());
    }
}
