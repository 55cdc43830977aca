//! Lines of the log that requests would repeat without end: each kind comes once a second.

use std::cell::RefCell;

use litemap::LiteMap;

use crate::host::{Host, MetricId};

/// Least time between two lines of a kind, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;

/// The lines that a VM has logged.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// When a line was logged, by the series that counts what it is about.
    lines: RefCell<LiteMap<Option<MetricId>, u64>>,
}

impl LogLimit {
    /// Whether it is time for a line about what this series counts.
    pub(crate) fn allows(&self, host: &impl Host, series: Option<MetricId>) -> bool {
        let now = host.steady_nanoseconds().unwrap_or_default();
        let lines = &mut *self.lines.borrow_mut();
        let is_due = lines.get(&series).is_none_or(|at| now.abs_diff(*at) >= SILENCE);
        if is_due {
            lines.insert(series, now);
        }
        is_due
    }
}
