//! The metric series of a table's destinations, by number. A request looks up no name.

use std::cell::RefCell;

use canary_routing::{Decision, DestinationId, Reason, RouteTable};

use super::catalogue::{DURATION, FAULTS, REQUESTS, RESPONSES};
use super::registry::{Metric, Registry, logged};
use crate::host::{Host, HostError, MetricId};

/// The label for no host and no version, if a rule answers by a local reply.
const NONE: &str = "-";

/// A metric of a destination, with the value of its other label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DestinationMetric {
    Requests(RequestReason),
    Responses(ResponseClass),
    Duration,
    Faults(FaultKind),
}

/// Why a request has its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestReason {
    /// A rule has picked a version, or has answered by a local reply ([`Reason::Rule`]).
    Picked(Reason),
    /// No rule matches the request.
    NoRule,
}

/// The class of a response status. `None` if the client got no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ResponseClass {
    None,
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
}

/// The kind of an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FaultKind {
    Delay,
    Abort,
}

/// The number of series of a destination.
const SERIES: usize = 17;

/// The series of one destination. `None` for those not yet defined.
type Row = [Option<MetricId>; SERIES];

/// The series of the destinations of one table.
#[derive(Debug)]
pub(crate) struct DestinationSeries {
    /// Indexed by destination. The last row is for requests without one.
    rows: RefCell<Vec<Option<Box<Row>>>>,
}

impl DestinationMetric {
    const fn metric(self) -> &'static Metric {
        match self {
            Self::Requests(_) => &REQUESTS,
            Self::Responses(_) => &RESPONSES,
            Self::Duration => &DURATION,
            Self::Faults(_) => &FAULTS,
        }
    }

    /// The index in a [`Row`].
    const fn index(self) -> usize {
        match self {
            Self::Requests(RequestReason::Picked(reason)) => match reason {
                Reason::Rule => 0,
                Reason::Weight => 1,
                Reason::Sticky => 2,
                Reason::Ramp => 3,
                Reason::VersionHeader => 4,
                Reason::Override => 5,
                Reason::Frozen => 6,
            },
            Self::Requests(RequestReason::NoRule) => 7,
            Self::Responses(class) => 8_usize.saturating_add(class as usize),
            Self::Duration => 14,
            Self::Faults(FaultKind::Delay) => 15,
            Self::Faults(FaultKind::Abort) => 16,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Requests(RequestReason::Picked(reason)) => reason.as_str(),
            Self::Requests(RequestReason::NoRule) => "no-rule",
            Self::Responses(class) => class.as_str(),
            Self::Duration => "",
            Self::Faults(FaultKind::Delay) => "delay",
            Self::Faults(FaultKind::Abort) => "abort",
        }
    }
}

impl ResponseClass {
    pub(super) const fn of(status: u64) -> Self {
        match status {
            100..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500..600 => Self::ServerError,
            _ => Self::None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

impl DestinationSeries {
    pub(crate) fn new(table: &RouteTable) -> Self {
        let mut rows = Vec::new();
        rows.resize_with(table.destinations().len().saturating_add(1), || None);
        Self { rows: RefCell::new(rows) }
    }

    /// Counts an injected abort, if the decision has one.
    pub(crate) fn count_abort(
        &self,
        host: &impl Host,
        registry: &Registry,
        table: &RouteTable,
        (destination, decision): (Option<DestinationId>, &Decision<'_>),
    ) {
        if decision.abort.is_some() {
            self.count(host, registry, table, (destination, DestinationMetric::Faults(FaultKind::Abort)));
        }
    }

    /// Adds one to a series.
    pub(crate) fn count(
        &self,
        host: &impl Host,
        registry: &Registry,
        table: &RouteTable,
        (destination, metric): (Option<DestinationId>, DestinationMetric),
    ) {
        let series = self.series(host, registry, table, (destination, metric));
        logged(metric.metric(), series.and_then(|series| host.increment_metric(series)));
    }

    /// The series of a destination. It is defined on first use.
    pub(super) fn series(
        &self,
        host: &impl Host,
        registry: &Registry,
        table: &RouteTable,
        (destination, metric): (Option<DestinationId>, DestinationMetric),
    ) -> Result<MetricId, HostError> {
        let rows = &mut *self.rows.borrow_mut();
        let place = destination.map_or(rows.len().saturating_sub(1), DestinationId::index);
        let known = rows.get(place).and_then(|row| row.as_ref()?.get(metric.index()).copied().flatten());
        if let Some(series) = known {
            return Ok(series);
        }
        let name = destination.and_then(|destination| table.destinations().get(destination.index()));
        let host_name = name.map_or(NONE, |name| &*name.host);
        let version = name.and_then(|name| name.version.as_deref()).unwrap_or(NONE);
        let values = [host_name, version, metric.word()];
        let of_metric = metric.metric();
        let series = registry.series(host, of_metric, values.get(..of_metric.labels.len()).unwrap_or(&values))?;
        let row = rows.get_mut(place).map(|row| row.get_or_insert_default());
        if let Some(cell) = row.and_then(|row| row.get_mut(metric.index())) {
            *cell = Some(series);
        }
        Ok(series)
    }
}
