//! What became of the filter's metrics over the last minutes: one sample for each look at Envoy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stats::{Bucket, Histogram, Reading, Series};

/// So many samples are kept: 15 minutes of them, and what stands at their edge.
const MOST_SAMPLES: usize = 15 * 60 + 30;
/// So many series are looked after. The filter names 1,024 in each worker; documents that come and go name others.
const MOST_SERIES: usize = 4_096;
/// The gauge that names the document in force.
pub(super) const CONFIG_VERSION: &str = "canary_config_version";

/// One look at Envoy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// When, in milliseconds since the first look.
    pub(super) at: u64,
    /// Milliseconds since the last time that Envoy answered; 0 where it does not, and the first time.
    pub(super) covers: u64,
    /// By how much counters have grown; those that have not are left out.
    pub(super) counts: Vec<(usize, u64)>,
    /// Durations since, likewise.
    pub(super) durations: Vec<(usize, Histogram)>,
    /// Whether another document has come into force.
    pub(super) is_change: bool,
}

/// What is known of a series.
#[derive(Clone, Debug)]
struct Known {
    series: Series,
    /// As Envoy has counted since its start; 0 where it shows none any more.
    value: u64,
    histogram: Histogram,
    /// When it grew last, in milliseconds since the first look.
    grown: Option<u64>,
}

/// A series at the end of the history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last<'h> {
    pub(super) number: usize,
    pub(super) series: &'h Series,
    pub(super) value: u64,
    pub(super) grown: Option<u64>,
}

/// The last samples, and what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    numbers: BTreeMap<Series, usize>,
    known: Vec<Known>,
    samples: VecDeque<Sample>,
    /// When Envoy answered last, and for how long it had been up.
    answered: Option<(u64, Option<u64>)>,
    /// The documents in force, by plugin.
    versions: BTreeMap<String, u64>,
    restarts: u64,
}

impl History {
    /// Takes down that Envoy did not answer.
    pub(super) fn silence(&mut self, at: u64) {
        self.push(Sample { at, ..Sample::default() });
    }

    /// Takes down what Envoy answered. What is there the first time is nothing that has happened since.
    pub(super) fn record(&mut self, at: u64, reading: &Reading) {
        let before = self.answered.replace((at, reading.uptime));
        if before.is_some_and(|(_, uptime)| reading.uptime < uptime) {
            self.restart();
        }
        let mut sample =
            Sample { at, covers: before.map_or(0, |(last, _)| at.saturating_sub(last)), ..Sample::default() };
        let shown = reading.values.keys().chain(reading.histograms.keys()).filter(|series| is_counted(series));
        let shown: BTreeSet<usize> = shown.filter_map(|series| self.number(series)).collect();
        for (number, known) in self.known.iter_mut().enumerate() {
            if !shown.contains(&number) {
                known.forget();
                continue;
            }
            let value = reading.values.get(&known.series).copied().unwrap_or_default();
            let histogram = reading.histograms.get(&known.series).cloned().unwrap_or_default();
            if before.is_some() {
                let grown = growth(value, known.value);
                let durations = histogram_growth(&histogram, &known.histogram);
                if grown > 0 || !durations.is_empty() {
                    known.grown = Some(at);
                }
                sample.counts.extend((grown > 0).then_some((number, grown)));
                sample.durations.extend((!durations.is_empty()).then_some((number, durations)));
            }
            known.value = value;
            known.histogram = histogram;
        }
        let versions = versions(reading);
        // An Envoy that has just begun shows none yet, and may come back with the same.
        if !versions.is_empty() {
            sample.is_change = !self.versions.is_empty() && versions != self.versions;
            self.versions = versions;
        }
        self.push(sample);
    }

    /// The samples, the oldest first.
    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    /// Every counter and histogram.
    pub(super) fn series(&self) -> impl Iterator<Item = Last<'_>> {
        self.known.iter().enumerate().map(|(number, known)| Last {
            number,
            series: &known.series,
            value: known.value,
            grown: known.grown,
        })
    }

    /// The number of the document in force, for each plugin, as it was shown last.
    pub(super) fn versions(&self) -> &BTreeMap<String, u64> {
        &self.versions
    }

    /// How often Envoy has begun anew.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Whether some series are left out, since there are too many.
    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= MOST_SERIES
    }

    fn restart(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
        self.known.iter_mut().for_each(Known::forget);
    }

    fn number(&mut self, series: &Series) -> Option<usize> {
        if let Some(number) = self.numbers.get(series) {
            return Some(*number);
        }
        let number = self.known.len();
        (number < MOST_SERIES).then(|| {
            self.known.push(Known { series: series.clone(), value: 0, histogram: Vec::new(), grown: None });
            self.numbers.insert(series.clone(), number);
            number
        })
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() >= MOST_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

impl Known {
    /// Envoy has begun anew: whatever it shows next has happened since.
    fn forget(&mut self) {
        self.value = 0;
        self.histogram.clear();
    }
}

/// All but the one gauge.
fn is_counted(series: &Series) -> bool {
    series.metric != CONFIG_VERSION
}

/// The numbers of the documents in force, by plugin.
pub(super) fn versions(reading: &Reading) -> BTreeMap<String, u64> {
    let gauges = reading.values.iter().filter(|(series, _)| !is_counted(series));
    gauges.map(|(series, value)| (series.label("plugin").to_owned(), *value)).collect()
}

/// By how much a counter has grown; one that is smaller than before has begun anew.
fn growth(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn histogram_growth(now: &[(Bucket, u64)], before: &[(Bucket, u64)]) -> Histogram {
    let count_before = |bucket: &Bucket| before.iter().find(|(one, _)| one == bucket).map_or(0, |(_, count)| *count);
    let is_anew = before
        .iter()
        .any(|(bucket, count)| now.iter().find(|(one, _)| one == bucket).map_or(*count > 0, |(_, now)| now < count));
    let grown = now.iter().map(|(bucket, count)| {
        let before = if is_anew { 0 } else { count_before(bucket) };
        (*bucket, count.saturating_sub(before))
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(uptime: u64, counters: &[(&str, u64)]) -> Reading {
        let values = counters.iter().map(|(metric, value)| (series(metric), *value)).collect();
        Reading { uptime: Some(uptime), values, ..Reading::default() }
    }

    fn series(metric: &str) -> Series {
        Series { metric: metric.to_owned(), labels: BTreeMap::new() }
    }

    /// The growth of `a` by sample; `None` where Envoy did not answer.
    fn grown(readings: &[Option<Reading>]) -> Vec<u64> {
        let mut history = History::default();
        for (at, reading) in (0..).step_by(1_000).zip(readings) {
            match reading {
                Some(reading) => history.record(at, reading),
                None => history.silence(at),
            }
        }
        let of_sample = |sample: &Sample| sample.counts.iter().map(|(_, count)| *count).sum();
        history.samples().map(of_sample).collect()
    }

    #[test]
    fn counters_grow_and_never_shrink() {
        let at = |uptime, value| Some(reading(uptime, &[("a", value)]));
        let without = |uptime| Some(reading(uptime, &[]));
        for (row, readings, expected) in [
            ("what was there before does not count", vec![at(9, 100), at(10, 103)], vec![0, 3]),
            ("a series that comes later counts from 0", vec![without(1), at(2, 5)], vec![0, 5]),
            ("nothing happens", vec![at(1, 5), at(2, 5), at(3, 6)], vec![0, 0, 1]),
            ("Envoy is silent for a while", vec![at(1, 5), None, at(3, 9)], vec![0, 0, 4]),
            ("a restart shows in the uptime", vec![at(10, 5), at(1, 7)], vec![0, 7]),
            ("a restart shows in the counter", vec![at(10, 5), at(11, 2)], vec![0, 2]),
            ("a restart before the series is back", vec![at(10, 5), without(1), at(2, 8)], vec![0, 0, 8]),
            ("a restart while it is silent", vec![at(10, 5), None, at(1, 4), at(2, 6)], vec![0, 0, 4, 2]),
        ] {
            assert_eq!(grown(&readings), expected, "{row}");
        }
    }

    #[test]
    fn histograms_grow_by_bucket() {
        let bucket = |lower| Bucket { lower, width: 1.0 };
        for (row, before, now, expected) in [
            ("new", vec![], vec![(bucket(1.0), 2)], vec![(bucket(1.0), 2)]),
            ("unchanged", vec![(bucket(1.0), 2)], vec![(bucket(1.0), 2)], vec![]),
            (
                "one bucket more",
                vec![(bucket(1.0), 2)],
                vec![(bucket(1.0), 2), (bucket(5.0), 1)],
                vec![(bucket(5.0), 1)],
            ),
            ("begun anew", vec![(bucket(1.0), 2), (bucket(5.0), 1)], vec![(bucket(1.0), 3)], vec![(bucket(1.0), 3)]),
        ] {
            assert_eq!(histogram_growth(&now, &before), expected, "{row}");
        }
    }

    #[test]
    fn a_change_is_another_document_in_force() {
        let mut history = History::default();
        for (at, version) in [(0, 7), (1, 7), (2, 8)] {
            history.record(at, &reading(at, &[(CONFIG_VERSION, version)]));
        }
        history.record(3, &reading(3, &[]));
        assert_eq!(history.samples().map(|sample| sample.is_change).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(history.restarts(), 0);
        history.record(4, &reading(0, &[(CONFIG_VERSION, 8)]));
        assert_eq!(history.restarts(), 1);
        assert_eq!(history.versions().values().copied().collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for at in 0..5_000 {
            history.record(at, &reading(at, &[(&format!("canary_{at}"), 1)]));
        }
        assert!(history.is_full());
        assert_eq!((history.known.len(), history.samples.len()), (MOST_SERIES, MOST_SAMPLES));
    }
}
