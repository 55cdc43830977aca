//! The filter's metrics.
//!
//! A series is defined on first use, at most [`MAX_SERIES`](registry::MAX_SERIES) in a VM, and then counted by its id.
//! All VMs of a proxy count in the same series: workers, and several listeners.

pub(crate) mod catalogue;
mod destination_series;
mod measured;
mod name;
mod registry;

pub(crate) use destination_series::{DestinationMetric, DestinationSeries, FaultKind};
pub(crate) use measured::MeasuredRequest;
pub(crate) use registry::Registry;
