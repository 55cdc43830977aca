//! Limits log lines that requests would repeat: one line of each kind in a second.

use std::cell::RefCell;

use litemap::LiteMap;

use crate::host::{Host, MetricId};

/// The least time between two lines of a kind, in nanoseconds.
const MIN_INTERVAL: u64 = 1_000_000_000;

/// When each kind of line was last logged.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// The time of the last line, by the metric series that counts its subject.
    lines: RefCell<LiteMap<Option<MetricId>, u64>>,
}

impl LogLimit {
    /// Whether a line about this series may be logged now.
    pub(crate) fn allows(&self, host: &impl Host, series: Option<MetricId>) -> bool {
        let now = host.steady_nanoseconds().unwrap_or_default();
        let lines = &mut *self.lines.borrow_mut();
        let is_due = lines.get(&series).is_none_or(|at| now.abs_diff(*at) >= MIN_INTERVAL);
        if is_due {
            lines.insert(series, now);
        }
        is_due
    }
}
