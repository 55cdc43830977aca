//! What requests wait at half of saturation.

use std::time::Duration;

use e2e::{
    bench::{Amount, Bench, Pace},
    costs::{Latency, Measured, Waits, case},
    statistics::{median, quantile},
    workload::jobs,
};
use fastrand::Rng;

use crate::effort::Effort;

/// The cases, the one without a filter first.
const CASES: [&str; 6] =
    [case::NO_FILTER, case::CONTROL, case::LUA, jobs::THIRD_ARTICLE_ALONE, jobs::THIRD_ARTICLE, jobs::BOOKINFO];

/// No slice ends by time.
const LONGEST: Duration = Duration::from_secs(600);

/// In slices in turn, each turn in another order, at half of what the slowest of them has borne in the rounds before.
pub(crate) fn measure(bench: &mut Bench, measured: &[Measured], spins: bool, effort: &Effort) -> Latency {
    let borne = measured.iter().filter(|case| CASES.contains(&case.name.as_str())).map(|case| case.per_second);
    let per_second = (borne.fold(f64::MAX, f64::min) / 2.0).floor();
    let (slices, requests) = effort.waits;
    let amount = Amount { requests, time: LONGEST };
    let mut waits = vec![(Vec::new(), Vec::new()); CASES.len()];
    let mut order: Vec<_> = (0..CASES.len()).collect();
    let mut random = Rng::new();
    for _ in 0..slices {
        random.shuffle(&mut order);
        for index in &order {
            let slice = bench.pace(bench.case(CASES[*index]), amount, Pace::Steady { per_second, spins });
            let (all, p99s) = &mut waits[*index];
            p99s.push(quantile(&slice, 99).round());
            all.extend(slice);
        }
    }
    let of = |(name, (all, p99_of_slices)): (&str, (Vec<f64>, Vec<f64>))| Waits {
        name: name.to_owned(),
        p50: median(&all).round(),
        p99: quantile(&all, 99).round(),
        p99_of_slices,
    };
    let cases = CASES.into_iter().zip(waits).map(of).collect();
    Latency { rate: per_second as u64, requests: slices * requests, cases }
}
