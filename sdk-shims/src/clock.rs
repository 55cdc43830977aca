//! The host's wall clock.

use crate::host::{self, HostError};

/// Nanoseconds since the Unix epoch. Envoy reads its own clock for each call (about 0.1 µs).
///
/// # Errors
/// If the host refuses.
pub fn unix_nanoseconds() -> Result<u64, HostError> {
    host::current_time_nanoseconds()
}
