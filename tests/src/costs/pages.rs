//! Pages and parts of pages that say what was measured.

use std::{fmt::Write, path::Path};

use super::{
    Results, Waits,
    budget::Budget,
    case::{self, ENTRIES, ENTRY, REPEATS},
    chart, targets,
};
use crate::{
    statistics::{Estimate, differences, median},
    workload::jobs,
};

/// Where [`written`] goes, relative to the project.
pub const RESULTS: &str = "docs/benchmarks/results.json";
const TABLES: &str = "docs/benchmarks/README.md";
const CHART: &str = "docs/benchmarks/chart.svg";
const PARTS: &str = "docs/where-the-time-goes.md";

/// Files by path, with their whole content: those that are made from results, and those that a part of is.
///
/// # Panics
/// If the chart cannot be drawn, or a page has no place for its part.
#[must_use]
pub fn written(results: &Results, budget: &Budget, read: impl Fn(&Path) -> String) -> Vec<(&'static str, String)> {
    let put = |file: &'static str, mark: &str, table: &str| {
        let page = with_part(&read(Path::new(file)), mark, table);
        (file, page.unwrap_or_else(|| panic!("{file} has no place for {mark}")))
    };
    let targets = target_table(results, budget);
    vec![
        (RESULTS, results.to_text()),
        (TABLES, tables(results, &targets)),
        (CHART, chart::svg(results).unwrap_or_else(|error| panic!("{error}"))),
        put(PARTS, "parts", &parts(results)),
    ]
}

/// A page with another part between `<!-- bench: MARK -->` and `<!-- bench: end -->`.
fn with_part(page: &str, mark: &str, part: &str) -> Option<String> {
    const END: &str = "<!-- bench: end -->";
    let (before, rest) = page.split_once(&format!("<!-- bench: {mark} -->\n"))?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}<!-- bench: {mark} -->\n{part}{END}{after}"))
}

fn where_and_when(results: &Results) -> String {
    let machine = &results.machine;
    let cores = if machine.cores > 1 { "proxy and load on a core each" } else { "proxy and load on the only core" };
    format!(
        "{}, {} cores, Linux {}; Envoy {}, one worker, {cores}; {}; {} rounds of {} ms per case, of which the proxy ran {:.0} %; clients and upstreams took {:.0} µs per request.",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.envoy,
        machine.date,
        results.rounds,
        case::thousands(results.slice_millis as usize),
        results.busy * 100.0,
        results.load_micros
    )
}

/// The machine, why there is no verdict if there is none, and the targets.
fn target_table(results: &Results, budget: &Budget) -> String {
    let mut table = format!("{}\n\n", where_and_when(results));
    if let Some(why) = results.why_undecided() {
        let _ = writeln!(table, "**No verdict on what was timed:** {why}.\n");
    }
    table.push_str("| | target | measured | |\n|---|---|---|---|\n");
    for row in targets::rows(results, budget) {
        let _ = writeln!(table, "| {} | {} | {} | {} |", row.what, row.target, row.figure, row.verdict);
    }
    table
}

fn tables(results: &Results, targets: &str) -> String {
    let mut page = format!(
        "<!-- Written by `make bench`; change tests/src/costs instead. -->\n# Benchmarks\n\n{targets}\n\
         Processor time is that of the whole proxy process per request, with one saturated worker. A ratio is one of added processor \
         time (over no filter) unless the row says otherwise. In brackets: 90 % bootstrap intervals over the rounds. A verdict is given \
         where the whole interval is on one side of the target. Instructions, memory of a VM and size are exact.\n\n\
         A floor is a module that makes the same host calls as the filter for the same request, and nothing else: it is generated from \
         the calls that [`budget.json`](../../tests/tests/data/budget.json) records.\n\n\
         ![Cost against number of rules](chart.svg)\n\n## Every case\n\n\
         Microseconds of processor time per request: medians over the rounds, and medians of the differences within each round. \
         [`results.json`](results.json) has every round.\n\n\
         | case | all of the proxy | requests per second | over | more |\n|---|---|---|---|---|\n",
    );
    for case in &results.cases {
        let _ = writeln!(
            page,
            "| {} | {:.1} | {} | {} | {} |",
            case.name,
            median(&case.micros),
            case::thousands(case.per_second as usize),
            case.base,
            case.over(results)
        );
    }
    page.push_str(&waits(results));
    page
}

fn waits(results: &Results) -> String {
    let latency = &results.latency;
    let mut part = format!(
        "\n## What requests wait\n\n{} requests per second, half of what the slowest of these cases can bear, sent when they are due \
         whether or not those before are answered; {} requests per case, in slices in turn. Microseconds from when a request was due.\n\n\
         | case | p50 | p99 | p99 of a slice against no filter |\n|---|---|---|---|\n",
        case::thousands(latency.rate as usize),
        case::thousands(latency.requests as usize)
    );
    for Waits { name, p50, p99, .. } in &latency.cases {
        let Estimate { value, low, high } = latency.ratio_of_p99(name);
        let _ = writeln!(part, "| {name} | {p50:.0} | {p99:.0} | {value:.2} × ({low:.2} … {high:.2}) |");
    }
    part
}

/// Where the time goes.
fn parts(results: &Results) -> String {
    let estimate = |one: &str, other: &str, times: f64| {
        let more = differences(&results.case(one).micros, &results.case(other).micros);
        let Estimate { value, low, high } =
            Estimate::of_median(&more.iter().map(|more| more / times).collect::<Vec<_>>());
        format!("{value:+.2} ({low:+.2} … {high:+.2})")
    };
    let mut part = format!("{}\n\n| entering the VM | µs |\n|---|---|\n", where_and_when(results));
    let mut before = case::NO_FILTER;
    for (name, _, what) in ENTRIES {
        let _ = writeln!(part, "| {what} | {} |", estimate(name, before, 1.0));
        before = name;
    }
    let _ = write!(part, "\n| a host call | each of {REPEATS}, µs |\n|---|---|\n");
    for (name, _, what) in case::calls() {
        let _ = writeln!(part, "| {what} | {} |", estimate(&case::repeated(name), ENTRY, REPEATS as f64));
    }
    part.push_str("\n| the filter | µs |\n|---|---|\n");
    for (what, one, other) in LAYERS {
        let _ = writeln!(part, "| {what} | {} |", estimate(one, other, 1.0));
    }
    part
}

/// What a case does beyond another one.
const LAYERS: [(&str, &str, &str); 12] = [
    ("natively: a route whose cluster a header names, over a plain one", case::STEERED, case::NO_FILTER),
    ("natively: retries of what repeats nothing, over none", case::STEERED_RETRIES, case::STEERED),
    (
        "natively: a composite failover cluster with these retries and its upstream filter, over a version's own cluster",
        case::STEERED_FAILOVER,
        case::STEERED,
    ),
    ("natively: an aggregate one, over a version's own cluster", case::STEERED_AGGREGATE, case::STEERED),
    (
        "the host calls of the third article's job, metrics and filter state off (its floor)",
        jobs::FLOORS[0],
        case::STEERED,
    ),
    ("those of metrics and filter state (floor over floor)", jobs::FLOORS[1], jobs::FLOORS[0]),
    ("those that Bookinfo makes more (floor over floor)", jobs::FLOORS[2], jobs::FLOORS[1]),
    (
        "the third article's job over its floor, metrics and filter state off: what the VM computes",
        jobs::THIRD_ARTICLE_ALONE,
        jobs::FLOORS[0],
    ),
    ("the same, metrics and filter state on", jobs::THIRD_ARTICLE, jobs::FLOORS[1]),
    ("the third article's job to failover clusters, over the versions' own", case::FAILOVER, jobs::THIRD_ARTICLE),
    ("Bookinfo over its floor", jobs::BOOKINFO, jobs::FLOORS[2]),
    (
        "the shipped route with its mirrors and host rewrite, over the plainest",
        case::BOOKINFO_SHIPPED_ROUTE,
        jobs::BOOKINFO,
    ),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::binaries::workspace;

    #[test]
    fn a_part_takes_the_place_of_the_one_before() {
        for (name, page, expected) in [
            (
                "between its marks",
                "a\n<!-- bench: x -->\nold\n<!-- bench: end -->\nb",
                Some("a\n<!-- bench: x -->\nnew\n<!-- bench: end -->\nb"),
            ),
            (
                "where there was none yet",
                "<!-- bench: x -->\n<!-- bench: end -->",
                Some("<!-- bench: x -->\nnew\n<!-- bench: end -->"),
            ),
            (
                "not that of another mark",
                "<!-- bench: y -->\n1\n<!-- bench: end -->\n<!-- bench: x -->\n2\n<!-- bench: end -->",
                Some("<!-- bench: y -->\n1\n<!-- bench: end -->\n<!-- bench: x -->\nnew\n<!-- bench: end -->"),
            ),
            ("nowhere", "a\n<!-- bench: y -->\n<!-- bench: end -->", None),
            ("without an end", "<!-- bench: x -->\n", None),
        ] {
            assert_eq!(with_part(page, "x", "new\n").as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_pages_say_what_the_results_say() {
        let read = |file: &Path| fs::read_to_string(workspace().join(file)).expect("a page");
        let results = Results::from_text(&read(Path::new(RESULTS))).expect("results");
        for (file, content) in written(&results, &Budget::read(), read) {
            assert!(
                content == read(Path::new(file)),
                "{file} is not what {RESULTS} and budget.json say: run `make bench-pages`"
            );
        }
    }
}
