//! The filter's statistics.
//!
//! Series are defined when they are first needed, at most [`MAX_SERIES`](registry::MAX_SERIES) in a VM; from then on they are
//! counted by number. All VMs of a proxy count the same series: workers, and listeners.

pub(crate) mod catalogue;
mod destination_series;
mod measured;
mod name;
mod registry;

pub(crate) use destination_series::{DestinationMetric, DestinationSeries, FaultKind};
pub(crate) use measured::MeasuredRequest;
pub(crate) use registry::Registry;
