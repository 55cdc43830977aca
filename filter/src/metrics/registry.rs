//! The series of the VM: each is defined once, and found again without building its name.

use std::cell::RefCell;
use std::cmp::Ordering;

use sdk_shims::host::{self, HostError, MetricKind};
use sdk_shims::log;

use super::name;

/// So many series have values of their own in a VM. All others share, for each metric and each of its words, the series
/// whose open labels are [`OVERFLOW`].
pub(super) const MOST: usize = 1_024;
/// The value of labels of series beyond [`MOST`].
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
struct Series {
    metric: &'static str,
    values: Box<[Box<str>]>,
    host: host::Metric,
}

thread_local! {
    /// Sorted by metric and values. A VM is one thread.
    static SERIES: RefCell<Vec<Series>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn init() {
    SERIES.take();
}

/// Counts one more of the series of a counter that has these values for its labels, and says which series that is; `None`,
/// with the reason logged, if the host refuses.
pub(crate) fn count(metric: &Metric, values: &[&str]) -> Option<host::Metric> {
    let counted = series(metric, values).and_then(|series| series.increment().map(|()| series));
    logged(metric, counted)
}

/// Sets the series of a gauge that has these values for its labels.
pub(crate) fn set(metric: &Metric, values: &[&str], number: u64) {
    logged(metric, series(metric, values).and_then(|series| series.record(number)));
}

/// Has a metric without labels shown before it is first counted.
pub(super) fn define(metric: &Metric) {
    logged(metric, series(metric, &[]));
}

/// What came of it; an error is logged.
pub(super) fn logged<T>(metric: &Metric, result: Result<T, HostError>) -> Option<T> {
    result.map_err(|error| log::error!("{error}: {} lacks one", metric.name)).ok()
}

/// The series of a metric that has these values for its labels, or stands in for it.
pub(super) fn series(metric: &Metric, values: &[&str]) -> Result<host::Metric, HostError> {
    SERIES.with_borrow_mut(|all| match find(all, metric, values) {
        Ok(series) => Ok(series),
        Err(_) if all.len() >= MOST => {
            let shared: Vec<_> = metric.labels.iter().zip(values).map(|(label, value)| label.shared(value)).collect();
            find(all, metric, &shared).or_else(|place| add(all, place, metric, &shared))
        }
        Err(place) => add(all, place, metric, values),
    })
}

/// Where it is, or else would have to be.
fn find(all: &[Series], metric: &Metric, values: &[&str]) -> Result<host::Metric, usize> {
    let place = all.binary_search_by(|series| series.order(metric.name, values))?;
    all.get(place).map(|series| series.host).ok_or(place)
}

fn add(all: &mut Vec<Series>, place: usize, metric: &Metric, values: &[&str]) -> Result<host::Metric, HostError> {
    let labels = metric.labels.iter().map(Label::name).zip(values.iter().copied());
    let host = host::Metric::define(metric.kind, &name::series(metric.name, labels))?;
    all.insert(
        place,
        Series { metric: metric.name, values: values.iter().map(|value| (*value).into()).collect(), host },
    );
    Ok(host)
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
