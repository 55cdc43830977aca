//! How much load.

use std::time::Duration;

/// How much load: whichever of the two ends first.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// How long requests are sent.
    pub time: Duration,
    /// How many are sent.
    pub requests: u64,
}
