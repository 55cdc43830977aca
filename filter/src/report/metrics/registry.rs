//! The series of the VM: each is defined once, and found again without building its name.

use std::cell::RefCell;
use std::cmp::Ordering;

use super::name;
use crate::host::{Host, HostError, MetricId, MetricKind};

/// So many series have values of their own in a VM. All others share, for each metric and each of its words, the series
/// whose open labels are [`OVERFLOW`].
pub(crate) const MAX_SERIES: usize = 1_024;
/// The value of labels of series beyond [`MAX_SERIES`].
pub(super) const OVERFLOW: &str = "overflow";

/// A metric: its series differ in the values of its labels.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) kind: MetricKind,
    /// As Prometheus shows it.
    pub(crate) name: &'static str,
    pub(crate) labels: &'static [Label],
}

/// What a label's values are.
#[derive(Debug)]
pub(crate) enum Label {
    /// Names out of documents: any number of them.
    Open(&'static str),
    /// Words of the filter's own: few.
    Words(&'static str),
}

/// A series that the host knows.
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
    /// Counts one more of the series of a counter that has these values for its labels, and says which series that is; `None`,
    /// with the reason logged, if the host refuses.
    pub(crate) fn count(&self, host: &impl Host, metric: &Metric, values: &[&str]) -> Option<MetricId> {
        let counted = self.series(host, metric, values);
        logged(metric, counted.and_then(|series| host.increment_metric(series).map(|()| series)))
    }

    /// Sets the series of a gauge that has these values for its labels.
    pub(crate) fn set(&self, host: &impl Host, metric: &Metric, values: &[&str], number: u64) {
        logged(metric, self.series(host, metric, values).and_then(|series| host.record_metric(series, number)));
    }

    /// Has a metric without labels shown before it is first counted.
    pub(crate) fn define(&self, host: &impl Host, metric: &Metric) {
        logged(metric, self.series(host, metric, &[]));
    }

    /// The series of a metric that has these values for its labels, or the one that stands for those beyond [`MAX_SERIES`].
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

/// What came of it; an error is logged.
pub(super) fn logged<T>(metric: &Metric, result: Result<T, HostError>) -> Option<T> {
    result.map_err(|error| log::error!("{error}: {} lacks one", metric.name)).ok()
}

/// Where it is, or else would have to be.
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
