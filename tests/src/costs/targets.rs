//! What was aimed at, and what has come of it.

use super::{
    Measured, Reload, Results,
    budget::{Budget, Large},
    case,
    verdict::{
        Bound::{self, AtLeast, AtMost},
        Row, Verdict,
    },
};
use crate::{
    statistics::{Estimate, median},
    workload::jobs,
};

/// The control must be this near to zero, in microseconds.
pub const QUIET: f64 = 1.5;
/// A p99 may be so many times that without a filter; a machine on which that of the control may be more gives no verdict.
const QUIET_WAITS: f64 = 1.1;
/// Fewer rounds give no verdict.
pub const ENOUGH_ROUNDS: u64 = 10;

const KIB: f64 = 1_024.0;
/// Reloads after which memory has to be flat.
const WARM: usize = 20;
/// What it may grow by after that, by the allocator's noise.
const FLAT: f64 = 1.1;

/// Every row.
#[must_use]
pub fn rows(results: &Results, budget: &Budget) -> Vec<Row> {
    let measured = |rows: Vec<Row>| -> Vec<Row> {
        let is_quiet = results.why_undecided().is_none();
        rows.into_iter().map(|row| if is_quiet { row } else { row.undecided() }).collect()
    };
    let mut rows = vec![control(results)];
    rows.extend(measured(floors(results)));
    rows.extend(instructions(budget));
    rows.extend(measured(sizes(results)));
    rows.extend(measured(large(results).into()));
    rows.extend(measured(vec![waits(results)]));
    rows.push(module(results));
    rows.extend(measured(loading(results)));
    rows.push(memory(budget));
    rows.extend(measured(vec![stall(&results.reload)]));
    rows.extend(reloads(&results.reload));
    rows
}

/// The median of the paired differences, and its interval.
fn control(results: &Results) -> Row {
    let Estimate { value, low, high } = results.control();
    let is_enough = results.rounds >= ENOUGH_ROUNDS;
    Row {
        what: "no filter against no filter, the control".to_owned(),
        target: format!("± {QUIET} µs"),
        figure: format!("{value:+.1} µs ({low:+.1} … {high:+.1})"),
        verdict: if is_enough { AtMost(QUIET).judge_exact(value.abs()) } else { Verdict::NotDecided },
    }
}

fn floors(results: &Results) -> Vec<Row> {
    let [alone, third_article, bookinfo] = jobs::FLOORS;
    let row = |what: &str, one: &str, other: &str, bound| Row::ratio(what, results.ratio_of_added(one, other), bound);
    let most = AtMost(1.15);
    vec![
        row(
            "the third article's job against its floor, metrics and filter state off",
            jobs::THIRD_ARTICLE_ALONE,
            alone,
            most,
        ),
        row("the same, metrics and filter state on", jobs::THIRD_ARTICLE, third_article, most),
        row("Bookinfo against its floor, all on", jobs::BOOKINFO, bookinfo, most),
        row(
            "the third article's job against the Lua script, metrics and filter state off",
            jobs::THIRD_ARTICLE_ALONE,
            case::LUA,
            AtMost(2.4),
        ),
        row("its floor against the Lua script", alone, case::LUA, Bound::None),
    ]
}

fn instructions(budget: &Budget) -> Vec<Row> {
    let bounds = [
        ("unknown host", 3_000),
        ("one header to a version, no metrics", 6_000),
        ("one header to a version", 9_000),
        ("Bookinfo", 13_000),
        ("10,000 rules, the last", 9_500),
    ];
    let row = |(name, bound): (&str, u32)| {
        let instructions = budget.case(name).instructions;
        Row {
            what: format!("instructions: {name}"),
            target: format!("≤ {}", case::thousands(bound as usize)),
            figure: case::thousands(instructions as usize),
            verdict: AtMost(f64::from(bound)).judge_exact(instructions as f64),
        }
    };
    bounds.map(row).into()
}

fn sizes(results: &Results) -> Vec<Row> {
    let [few, _, many] = case::SIZES;
    let (few, native, many) = (case::filter(few), case::native(many), case::filter(many));
    let row = |what: &str, one: &str, other: &str, bound| Row::ratio(what, results.ratio_of_added(one, other), bound);
    vec![
        Row::ratio("10,000 rules against 10, all of the proxy's time", results.ratio_of_all(&many, &few), AtMost(1.05)),
        row("10,000 native routes against the same 10,000 rules in the filter", &native, &many, AtLeast(25.0)),
        row("100,000 values of one header against 10 rules", case::VALUES, &few, AtMost(1.1)),
        row("1,000 hosts of 10 rules against one", case::HOSTS, &few, AtMost(1.1)),
        row(
            "10,000 rules that each look at a header of their own against 10 rules",
            case::OWN_HEADERS,
            &few,
            Bound::None,
        ),
        row("50 regexes over one header against native routes", case::REGEXES, case::NATIVE_REGEXES, AtMost(1.0)),
        row(
            "200 rules that differ only in the last of five headers, against native routes",
            case::ALIKE,
            case::NATIVE_ALIKE,
            AtMost(1.0),
        ),
    ]
}

fn large(results: &Results) -> [Row; 2] {
    let what = |large: &Large, rules: &str| {
        format!(
            "a request of 57 KB against a harmless one of that size, all of the proxy's time: the worst of all bytes and headers under \
             {rules} (`{}` of {}, {})",
            large.header, large.kind, large.subject
        )
    };
    let shipped = what(&results.large.shipped, "the shipped rules");
    let copied = what(&results.large.copied, "copied regular expressions");
    [
        Row::ratio(&shipped, results.ratio_of_all(case::LARGE_WORST, case::LARGE_HARMLESS), AtMost(3.0)),
        Row::ratio(&copied, results.ratio_of_all(case::COPIED_WORST, case::COPIED_HARMLESS), Bound::None),
    ]
}

fn waits(results: &Results) -> Row {
    let latency = &results.latency;
    let rate = case::thousands(latency.rate as usize);
    let what = format!("p99 of Bookinfo at {rate} requests per second, half of saturation, against no filter");
    let row = Row::ratio(&what, latency.ratio_of_p99(jobs::BOOKINFO), AtMost(QUIET_WAITS));
    let Estimate { low, high, .. } = latency.ratio_of_p99(case::CONTROL);
    let is_quiet = low >= QUIET_WAITS.recip() && high <= QUIET_WAITS;
    if is_quiet { row } else { row.undecided() }
}

fn module(results: &Results) -> Row {
    let kib = results.filter_bytes as f64 / KIB;
    Row {
        what: "the module".to_owned(),
        target: "≤ 1 MiB".to_owned(),
        figure: format!("{kib:.0} KiB"),
        verdict: AtMost(KIB).judge_exact(kib),
    }
}

fn loading(results: &Results) -> Vec<Row> {
    let rules = case::thousands(results.loading.rules);
    let row = |what: String, millis: &[f64], most| {
        let estimate = Estimate::of_median(millis);
        let Estimate { value, low, high } = estimate;
        let figure = format!("{value:.0} ms ({low:.0} … {high:.0})");
        Row { what, target: AtMost(most).words(" ms"), figure, verdict: AtMost(most).judge(estimate) }
    };
    vec![
        row("a VM starts".to_owned(), &results.loading.start_millis, 100.0),
        row(format!("{rules} rules read and compiled in the VM"), &results.loading.millis, 60.0),
    ]
}

fn memory(budget: &Budget) -> Row {
    let mib = budget.case("10,000 rules, the last").memory_kib as f64 / KIB;
    Row {
        what: "memory of a VM with 10,000 rules".to_owned(),
        target: "≤ 12 MiB".to_owned(),
        figure: format!("{mib:.1} MiB"),
        verdict: AtMost(12.0).judge_exact(mib),
    }
}

/// Of reloads under load.
fn stall(reload: &Reload) -> Row {
    Row {
        what: "the longest stall of a request by reloads under load".to_owned(),
        target: AtMost(MAX_STALL).words(" ms"),
        figure: format!("{:.0} ms; {:.0} ms without reloads", reload.longest_millis, reload.longest_millis_without),
        verdict: AtMost(MAX_STALL).judge(reload.stall()),
    }
}

fn reloads(reload: &Reload) -> Vec<Row> {
    let (warm, end) = reload.resident();
    let reloads = reload.kib.len();
    vec![
        Row {
            what: format!("{reloads} reloads of {} rules under load", case::thousands(reload.rules)),
            target: "0 failed".to_owned(),
            figure: format!("{} of {} failed", reload.failures, case::thousands(reload.requests as usize)),
            verdict: AtMost(0.0).judge_exact(reload.failures as f64),
        },
        Row {
            what: format!("memory of the proxy after the first {WARM} reloads and after the last"),
            target: "flat".to_owned(),
            figure: format!("{:.0} and {:.0} MiB", warm / KIB, end / KIB),
            verdict: if reload.is_flat() { Verdict::Met } else { Verdict::NotMet },
        },
    ]
}

/// Milliseconds.
const MAX_STALL: f64 = 80.0;

impl Reload {
    /// KiB after the first [`WARM`] reloads, and after the last.
    fn resident(&self) -> (f64, f64) {
        let warm = self.kib.get(WARM - 1).or(self.kib.last()).expect("a reload");
        (*warm as f64, *self.kib.last().expect("a reload") as f64)
    }

    /// Whether memory no longer grows after the first reloads.
    ///
    /// # Panics
    /// If there was none.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        let (warm, end) = self.resident();
        end <= warm * FLAT
    }

    /// The machine stalls requests as well: as long as it did without reloads.
    fn stall(&self) -> Estimate {
        let longest = self.longest_millis;
        Estimate { value: longest, low: longest - self.longest_millis_without, high: longest }
    }
}

impl Results {
    /// How much more the control costs, in microseconds.
    #[must_use]
    pub fn control(&self) -> Estimate {
        Estimate::of_median(&self.added(case::CONTROL))
    }

    /// Why what was timed gives no verdict.
    #[must_use]
    pub fn why_undecided(&self) -> Option<String> {
        let control = self.control().value;
        if self.rounds < ENOUGH_ROUNDS {
            return Some(format!("{} rounds are too few for a verdict", self.rounds));
        }
        let proxy = median(&self.case(case::NO_FILTER).micros);
        if self.load_micros >= proxy {
            return Some(format!(
                "the proxy was not saturated: its clients and upstreams took {:.0} µs per request",
                self.load_micros
            ));
        }
        (control.abs() > QUIET).then(|| {
            format!(
                "the machine was not quiet enough for a verdict: the control is {control:+.1} µs, more than ± {QUIET}"
            )
        })
    }

    fn ratio_of_added(&self, one: &str, other: &str) -> Estimate {
        Estimate::ratio_of_medians(&self.added(one), &self.added(other))
    }

    fn ratio_of_all(&self, one: &str, other: &str) -> Estimate {
        Estimate::median_of_ratios(&self.case(one).micros, &self.case(other).micros)
    }
}

impl Measured {
    /// What it costs more than its base: the median, and its interval in brackets.
    #[must_use]
    pub fn over(&self, results: &Results) -> String {
        let Estimate { value, low, high } = Estimate::of_median(&results.added(&self.name));
        format!("{value:+.1} ({low:+.1} … {high:+.1})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reload(kib: Vec<u64>, longest_millis: f64, longest_millis_without: f64) -> Reload {
        Reload { rules: 1, requests: 1, failures: 0, longest_millis, longest_millis_without, kib }
    }

    #[test]
    fn memory_is_flat_after_the_first_reloads() {
        let grows_for = |changes: u64, all: u64| (0..all).map(move |change| 1_000 + 100 * change.min(changes));
        for (name, kib, expected) in [
            ("always the same", grows_for(0, 60).collect(), true),
            ("grows at first", grows_for(19, 60).collect(), true),
            ("grows all the time", grows_for(60, 60).collect(), false),
            ("grows at the end", grows_for(0, 59).chain([1_101]).collect::<Vec<_>>(), false),
            ("by less than the noise", grows_for(0, 59).chain([1_099]).collect(), true),
        ] {
            assert_eq!(reload(kib, 1.0, 1.0).is_flat(), expected, "{name}");
        }
    }

    #[test]
    fn a_stall_may_be_that_of_the_machine() {
        for (name, with, without, expected) in [
            ("short", 80.0, 5.0, Verdict::Met),
            ("long", 90.0, 5.0, Verdict::NotMet),
            ("on a machine that stalls", 90.0, 30.0, Verdict::NotDecided),
        ] {
            assert_eq!(stall(&reload(vec![1], with, without)).verdict, expected, "{name}");
        }
    }
}
