//! The series of the VM. Each is defined once, and found without building its name.

use std::cell::RefCell;
use std::cmp::Ordering;

use super::name;
use crate::host::{Host, HostError, MetricId, MetricKind};

/// The most series of a VM with their own label values. Further series share one for each metric and each value of its
/// fixed labels. Their open labels are [`OVERFLOW`].
pub(crate) const MAX_SERIES: usize = 1_024;
/// The open labels of series beyond [`MAX_SERIES`].
pub(super) const OVERFLOW: &str = "overflow";

/// A metric. Its series differ in the values of its labels.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) kind: MetricKind,
    /// The name in Prometheus.
    pub(crate) name: &'static str,
    pub(crate) labels: &'static [Label],
}

/// A label, and the kind of its values.
#[derive(Debug)]
pub(crate) enum Label {
    /// Names from configurations, of any number.
    Open(&'static str),
    /// Fixed words of the filter, which are few.
    Words(&'static str),
}

/// A series that the host has defined.
#[derive(Debug)]
struct Series {
    metric: &'static str,
    values: Box<[Box<str>]>,
    id: MetricId,
}

/// The series of a VM, sorted by metric and values.
#[derive(Debug, Default)]
pub(crate) struct Registry(RefCell<Vec<Series>>);

impl Registry {
    /// Adds one to a counter's series with these label values. Returns the series. `None` if the host fails; the error
    /// is logged.
    pub(crate) fn count(&self, host: &impl Host, metric: &Metric, values: &[&str]) -> Option<MetricId> {
        let counted = self.series(host, metric, values);
        logged(metric, counted.and_then(|series| host.increment_metric(series).map(|()| series)))
    }

    /// Sets a gauge's series with these label values.
    pub(crate) fn set(&self, host: &impl Host, metric: &Metric, values: &[&str], number: u64) {
        logged(metric, self.series(host, metric, values).and_then(|series| host.record_metric(series, number)));
    }

    /// Defines a metric without labels, so that it is shown before it is first counted.
    pub(crate) fn define(&self, host: &impl Host, metric: &Metric) {
        logged(metric, self.series(host, metric, &[]));
    }

    /// The series of a metric with these label values, or the shared one beyond [`MAX_SERIES`].
    pub(super) fn series(&self, host: &impl Host, metric: &Metric, values: &[&str]) -> Result<MetricId, HostError> {
        let all = &mut *self.0.borrow_mut();
        match find(all, metric, values) {
            Ok(series) => Ok(series),
            Err(_) if all.len() >= MAX_SERIES => {
                let shared: Vec<_> =
                    metric.labels.iter().zip(values).map(|(label, value)| label.shared(value)).collect();
                find(all, metric, &shared).or_else(|place| add(host, all, place, metric, &shared))
            }
            Err(place) => add(host, all, place, metric, values),
        }
    }
}

/// Logs an error.
pub(super) fn logged<T>(metric: &Metric, result: Result<T, HostError>) -> Option<T> {
    result.map_err(|error| log::error!("{error}: {} is not counted", metric.name)).ok()
}

/// The index of the series, or the index for its insertion.
fn find(all: &[Series], metric: &Metric, values: &[&str]) -> Result<MetricId, usize> {
    let place = all.binary_search_by(|series| series.order(metric.name, values))?;
    all.get(place).map(|series| series.id).ok_or(place)
}

fn add(
    host: &impl Host,
    all: &mut Vec<Series>,
    place: usize,
    metric: &Metric,
    values: &[&str],
) -> Result<MetricId, HostError> {
    let labels = metric.labels.iter().map(Label::name).zip(values.iter().copied());
    let id = host.define_metric(metric.kind, &name::series(metric.name, labels))?;
    let values = values.iter().map(|value| (*value).into()).collect();
    all.insert(place, Series { metric: metric.name, values, id });
    Ok(id)
}

impl Series {
    fn order(&self, metric: &str, values: &[&str]) -> Ordering {
        let own = self.values.iter().map(AsRef::as_ref);
        self.metric.cmp(metric).then_with(|| own.cmp(values.iter().copied()))
    }
}

impl Label {
    const fn name(&self) -> &'static str {
        match self {
            Self::Open(name) | Self::Words(name) => name,
        }
    }

    const fn shared<'v>(&self, value: &'v str) -> &'v str {
        match self {
            Self::Open(_) => OVERFLOW,
            Self::Words(_) => value,
        }
    }
}
