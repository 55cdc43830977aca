//! Counts and tells of versions that gave way to others.

use canary_routing::FallbackReason;
use canary_routing::route::Destination;
use sdk_shims::log;

use crate::metrics::{self, FALLBACKS};
use crate::told;

/// Stands for a service as a whole.
const NO_VERSION: &str = "-";

/// Counts a fallback to a destination. `from` is the version that gave way; a client may have made it up, and then it is
/// counted as `unknown`.
pub(crate) fn count(to: &Destination, from: Option<&str>, reason: FallbackReason) {
    let from = from.unwrap_or(NO_VERSION);
    let to_version = to.subset.as_deref().unwrap_or(NO_VERSION);
    let counted_from = if reason == FallbackReason::UnknownVersion { "unknown" } else { from };
    let series = metrics::count(&FALLBACKS, &[&to.host, counted_from, to_version, reason.as_str()]);
    if told::may_tell(series) {
        log::info!("fallback: {} from {from:?} to {to_version:?}: {} (told once a second)", to.host, reason.as_str());
    }
}
