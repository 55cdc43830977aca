//! What was aimed at, and what has come of it.

use std::fmt;

use super::{Measured, Reload, Results, case};
use crate::statistics::{Ratio, Spread, quantile};

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is compared.
    pub what: String,
    /// The bound, in words.
    pub target: String,
    /// What was measured, with how sure it is.
    pub figure: String,
    /// Whether that keeps within the bound.
    pub verdict: Verdict,
}

/// Whether a figure keeps within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Pass,
    /// It does not.
    Miss,
    /// There is no bound.
    Stated,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pass => "pass",
            Self::Miss => "**miss**",
            Self::Stated => "",
        })
    }
}

impl Verdict {
    fn of(passes: bool) -> Self {
        if passes { Self::Pass } else { Self::Miss }
    }
}

/// Every row.
#[must_use]
pub fn rows(results: &Results) -> Vec<Row> {
    let mut rows = vec![control(results)];
    rows.extend(jobs(results));
    rows.extend(sizes(results));
    rows.extend(whole(results));
    rows
}

/// A ratio that must not be more than `most`, where there is such a bound.
fn at_most(what: &str, ratio: Ratio, most: Option<f64>) -> Row {
    let figure = format!("{:.2} × ({:.2} … {:.2})", ratio.value, ratio.low, ratio.high);
    let (target, verdict) = most.map_or(("stated".to_owned(), Verdict::Stated), |most| {
        (format!("≤ {most} ×"), Verdict::of(ratio.value <= most))
    });
    Row { what: what.to_owned(), target, figure, verdict }
}

/// A figure with a unit that must not be more than `most`.
fn within(what: &str, figure: f64, most: f64, unit: &str, said: &str) -> Row {
    Row {
        what: what.to_owned(),
        target: format!("≤ {most} {unit}"),
        figure: format!("{figure:.0} {unit}{said}"),
        verdict: Verdict::of(figure <= most),
    }
}

/// What cannot be told from nothing is not told from it: zero lies between the quartiles.
fn control(results: &Results) -> Row {
    let Spread { p25, p75, .. } = Spread::of(&results.added(case::CONTROL));
    Row {
        what: "no filter against no filter, as a control".to_owned(),
        target: "0 µs".to_owned(),
        figure: format!("{} µs", results.case(case::CONTROL).over(results)),
        verdict: Verdict::of(p25 <= 0.0 && 0.0 <= p75),
    }
}

fn jobs(results: &Results) -> Vec<Row> {
    let added = |one: &str, other: &str| Ratio::of(&results.added(one), &results.added(other));
    vec![
        at_most(
            "the Lua script's job against the hand-written module, metrics and filter state off",
            added(case::BARE, case::BY_HAND),
            Some(1.15),
        ),
        at_most("the same, metrics off only", added(case::WITH_STATE, case::BY_HAND), Some(1.15)),
        at_most("the same, both on", added(case::SHIPPED, case::BY_HAND), None),
        at_most(
            "the Lua script's job against the Lua script, metrics and filter state off",
            added(case::BARE, case::LUA),
            Some(1.45),
        ),
        at_most("the same, metrics off only", added(case::WITH_STATE, case::LUA), Some(1.45)),
        at_most("the same, both on", added(case::SHIPPED, case::LUA), None),
        at_most(
            "Bookinfo's whole decision against the hand-written module",
            added(case::BOOKINFO, case::BY_HAND),
            Some(1.5),
        ),
    ]
}

fn sizes(results: &Results) -> Vec<Row> {
    let [few, _, many] = case::SIZES;
    let (filter_few, filter_many) = (case::filter(few), case::filter(many));
    let whole = |name: &str| results.case(name).micros.clone();
    let added = |one: &str, other: &str| Ratio::of(&results.added(one), &results.added(other));
    let native = added(&case::native(many), &filter_many);
    let beside_native = |what: &str, one: &str, other: &str| at_most(what, added(one, other), Some(1.0));
    vec![
        at_most(
            "10,000 rules against 10, all of the proxy's time",
            Ratio::of(&whole(&filter_many), &whole(&filter_few)),
            Some(1.1),
        ),
        Row {
            what: "10,000 native routes against the same 10,000 rules in the filter".to_owned(),
            target: "≥ 20 ×".to_owned(),
            figure: format!("{:.1} × ({:.1} … {:.1})", native.value, native.low, native.high),
            verdict: Verdict::of(native.value >= 20.0),
        },
        at_most("1,000 hosts of 10 rules against one", added(case::HOSTS, &filter_few), Some(1.2)),
        at_most("100,000 values of one header against 10 rules", added(case::VALUES, &filter_few), Some(1.2)),
        beside_native(
            "200 rules that differ in the last of five headers, against native routes",
            case::ALIKE,
            case::NATIVE_ALIKE,
        ),
        beside_native("50 regexes against native routes", case::REGEXES, case::NATIVE_REGEXES),
    ]
}

fn whole(results: &Results) -> Vec<Row> {
    const MIB: f64 = 1_024.0;
    let (loading, latency, reload) = (&results.loading, &results.latency, &results.reload);
    let millis = Spread::of(&loading.millis);
    let memory = quantile(&loading.kib, 50) / MIB;
    let over_ten = (quantile(&loading.kib, 50) - quantile(&loading.kib_of_ten, 50)) / MIB;
    let p99 = Ratio::of(&latency.with, &latency.without);
    let rules = case::thousands(loading.rules);
    let changes = reload.kib.len();
    let (warm, end) = reload.resident();
    vec![
        within(
            &format!("{rules} rules taken up by a VM"),
            millis.median,
            400.0,
            "ms",
            &format!(" ({:.0} … {:.0}; the first time {:.0})", millis.p25, millis.p75, loading.millis[0]),
        ),
        within(
            &format!("memory of a VM with {rules} rules"),
            memory,
            24.0,
            "MiB",
            &format!(", {over_ten:.0} more than with 10"),
        ),
        within("the module", results.filter_bytes as f64 / MIB, 450.0, "KiB", ""),
        Row {
            what: format!(
                "p99 at {} requests in a second, half of saturation, against no filter",
                case::thousands(latency.rate as usize)
            ),
            ..at_most("", p99, Some(1.15))
        },
        Row {
            what: format!("{changes} reloads of {} rules under load", case::thousands(reload.rules)),
            target: "0 failed".to_owned(),
            figure: format!("{} of {} failed", reload.failures, case::thousands(reload.requests as usize)),
            verdict: Verdict::of(reload.failures == 0),
        },
        Row {
            what: "the longest stall meanwhile".to_owned(),
            target: "stated".to_owned(),
            figure: format!("{:.0} ms; {:.0} ms without reloads", reload.longest_millis, reload.longest_millis_without),
            verdict: Verdict::Stated,
        },
        Row {
            what: format!("memory after the first {WARM} reloads and after the last"),
            target: "flat".to_owned(),
            figure: format!("{:.0} and {:.0} MiB", warm / MIB, end / MIB),
            verdict: Verdict::of(reload.is_flat()),
        },
    ]
}

/// Changes after which memory has to be flat.
const WARM: usize = 20;
/// What it may grow by after that, by the allocator's noise.
const FLAT: f64 = 1.1;

impl Reload {
    /// KiB after the first [`WARM`] changes, and after the last.
    ///
    /// # Panics
    /// If there was none.
    fn resident(&self) -> (f64, f64) {
        let warm = self.kib.get(WARM - 1).or(self.kib.last()).expect("a change");
        (*warm as f64, *self.kib.last().expect("a change") as f64)
    }

    /// Whether memory no longer grows after the first changes.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        let (warm, end) = self.resident();
        end <= warm * FLAT
    }
}

impl Measured {
    /// What it costs more than its base: the median, and the quartiles in brackets.
    #[must_use]
    pub fn over(&self, results: &Results) -> String {
        let Spread { median, p25, p75 } = Spread::of(&results.added(&self.name));
        format!("{median:+.1} ({p25:+.1} … {p75:+.1})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_flat_after_the_first_changes() {
        let grows_for = |changes: u64, all: u64| (0..all).map(move |change| 1_000 + 100 * change.min(changes));
        for (name, kib, expected) in [
            ("always the same", grows_for(0, 60).collect(), true),
            ("grows at first", grows_for(19, 60).collect(), true),
            ("grows all the time", grows_for(60, 60).collect(), false),
            ("grows at the end", grows_for(0, 59).chain([1_101]).collect::<Vec<_>>(), false),
            ("by less than the noise", grows_for(0, 59).chain([1_099]).collect(), true),
        ] {
            let of =
                Reload { rules: 1, requests: 1, failures: 0, longest_millis: 1.0, longest_millis_without: 1.0, kib };
            assert_eq!(of.is_flat(), expected, "{name}");
        }
    }

    #[test]
    fn figures_are_held_against_their_bounds() {
        let ratio = |value| Ratio { value, low: 0.5, high: 2.0 };
        for (name, row, figure, verdict) in [
            ("on the bound", at_most("", ratio(1.15), Some(1.15)), "1.15 × (0.50 … 2.00)", Verdict::Pass),
            ("above it", at_most("", ratio(1.16), Some(1.15)), "1.16 × (0.50 … 2.00)", Verdict::Miss),
            ("no bound", at_most("", ratio(9.0), None), "9.00 × (0.50 … 2.00)", Verdict::Stated),
            ("a unit", within("", 400.0, 400.0, "ms", "!"), "400 ms!", Verdict::Pass),
            ("too much of it", within("", 401.0, 400.0, "ms", ""), "401 ms", Verdict::Miss),
        ] {
            assert_eq!((row.figure.as_str(), row.verdict), (figure, verdict), "{name}");
        }
    }
}
