//! The host's statistics.

use super::error::{self, HostError};
use super::ffi;

/// `proxy_metric_type_t`: the kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MetricKind {
    /// Sums the numbers of all VMs of the host.
    Counter = 0,
    /// Shows the last number of any VM.
    Gauge = 1,
    /// Shows the distribution of the numbers.
    Histogram = 2,
}

/// A series of the host's statistics. Envoy's name for it starts with `wasmcustom.`. It exists until the host ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metric(u32);

impl Metric {
    /// Defines the series in this VM.
    ///
    /// # Errors
    /// If the host call fails.
    pub fn define(kind: MetricKind, name: &str) -> Result<Self, HostError> {
        let mut id = 0;
        // SAFETY: the name is valid for reads of its length, `id` for a write, during the call.
        let status = unsafe { ffi::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
        error::check("proxy_define_metric", status)?;
        Ok(Self(id))
    }

    /// The id of the series in this VM.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0
    }

    /// The series with an id from [`id`](Self::id). The host returns an error when any other id is used.
    #[must_use]
    pub const fn from_id(id: u32) -> Self {
        Self(id)
    }

    /// Adds one. For counters and gauges.
    ///
    /// # Errors
    /// If the host call fails.
    pub fn increment(self) -> Result<(), HostError> {
        // SAFETY: the call takes no pointer.
        let status = unsafe { ffi::proxy_increment_metric(self.0, 1) };
        error::check("proxy_increment_metric", status)
    }

    /// Records a number. For gauges and histograms.
    ///
    /// # Errors
    /// If the host call fails.
    pub fn record(self, number: u64) -> Result<(), HostError> {
        // SAFETY: the call takes no pointer.
        let status = unsafe { ffi::proxy_record_metric(self.0, number) };
        error::check("proxy_record_metric", status)
    }
}
