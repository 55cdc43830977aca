//! Counts requests when they end.

use std::borrow::Cow;

use canary_config::Metrics;
use canary_routing::{Decision, DestinationId, Outcome, Reason, RouteTable};

use super::catalogue::{MIRRORS, RESPONSES};
use super::destination_series::{DestinationMetric, DestinationSeries, RequestReason, ResponseClass};
use super::registry::{Registry, logged};
use crate::host::{Host, HostError};

/// The label for the cluster of a port that the configuration does not list.
const UNKNOWN: &str = "unknown";
/// Nanoseconds in a millisecond.
const NANOSECONDS: u64 = 1_000_000;
/// The property with the response status.
const STATUS: &str = "response\0code";

/// A request that is counted when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasuredRequest {
    /// The picked destination, or the one that answered instead. `None` if a rule has answered, or no rule matched.
    pub(crate) destination: Option<DestinationId>,
    reason: RequestReason,
    /// The start by the steady clock, in nanoseconds. `None` if durations are not measured.
    began: Option<u64>,
}

impl MeasuredRequest {
    /// Counts the decision and starts the measurement. `None` if the filter leaves the request alone or requests are
    /// not counted. Costs one clock reading if durations are measured.
    pub(crate) fn begin(
        host: &impl Host,
        registry: &Registry,
        (table, series): (&RouteTable, &DestinationSeries),
        decision: &Decision<'_>,
    ) -> Option<Self> {
        let settings: Metrics = table.metrics();
        if !settings.enabled {
            return None;
        }
        let (destination, reason) = match (decision.version(), &decision.outcome) {
            (Some((destination, reason)), _) => (Some(destination.id), RequestReason::Picked(reason)),
            (None, Outcome::Untouched) => return None,
            (None, _) if decision.route.is_some() => (None, RequestReason::Picked(Reason::Rule)),
            (None, _) => (None, RequestReason::NoRule),
        };
        if let Outcome::Forward(forward) = &decision.outcome {
            for cluster in &forward.mirrors {
                // A client can choose the port in such a name, so it is no label.
                let known = if let Cow::Borrowed(name) = cluster { name } else { UNKNOWN };
                registry.count(host, &MIRRORS, &[&forward.destination.host, known]);
            }
        }
        series.count_abort(host, registry, table, (destination, decision));
        let began = settings.responses.then(|| host.steady_nanoseconds()).transpose().unwrap_or_else(|error| {
            log::error!("{error}: the response of a request is not counted");
            None
        });
        Some(Self { destination, reason, began })
    }

    /// Counts the request for the destination that served it, before its stream ends. The status costs a property and
    /// the duration a clock reading. Envoy's own `request.duration` is a property, which costs more.
    pub(crate) fn end(self, host: &impl Host, registry: &Registry, (table, series): (&RouteTable, &DestinationSeries)) {
        let destination = self.destination;
        series.count(host, registry, table, (destination, DestinationMetric::Requests(self.reason)));
        if let Some(began) = self.began {
            let ended = end_response(host, registry, (table, series), (destination, began));
            logged(&RESPONSES, ended);
        }
    }
}

fn end_response(
    host: &impl Host,
    registry: &Registry,
    (table, series): (&RouteTable, &DestinationSeries),
    (destination, began): (Option<DestinationId>, u64),
) -> Result<(), HostError> {
    let status = host.property(STATUS)?.and_then(|status| status.try_into().ok()).map(u64::from_le_bytes);
    let class = status.map_or(ResponseClass::None, ResponseClass::of);
    let elapsed = host.steady_nanoseconds()?.saturating_sub(began);
    let of = |metric| series.series(host, registry, table, (destination, metric));
    host.increment_metric(of(DestinationMetric::Responses(class))?)?;
    host.record_metric(of(DestinationMetric::Duration)?, elapsed.checked_div(NANOSECONDS).unwrap_or_default())
}
