//! Pages and parts of pages that say what was measured.

use std::{fmt::Write, path::Path};

use super::{
    Results, case,
    case::{CALLS, ENTRIES, ENTRY},
    chart, targets,
};
use crate::statistics::{Spread, differences};

/// Where [`written`] goes, relative to the project.
pub const RESULTS: &str = "docs/benchmarks/results.json";
const TABLES: &str = "docs/benchmarks/README.md";
const CHART: &str = "docs/benchmarks/chart.svg";
const PARTS: &str = "docs/where-the-time-goes.md";
const README: &str = "README.md";

/// Files by path, with their whole content: those that are made from results, and those that a part of is.
///
/// # Panics
/// If the chart cannot be drawn, or a page has no place for its part.
#[must_use]
pub fn written(results: &Results, read: impl Fn(&Path) -> String) -> Vec<(&'static str, String)> {
    let put = |file: &'static str, mark: &str, table: &str| {
        let page = with_part(&read(Path::new(file)), mark, table);
        (file, page.unwrap_or_else(|| panic!("{file} has no place for {mark}")))
    };
    vec![
        (RESULTS, results.to_text()),
        (TABLES, tables(results)),
        (CHART, chart::svg(results).unwrap_or_else(|error| panic!("{error}"))),
        put(PARTS, "parts", &parts(results)),
        put(README, "targets", &target_table(results)),
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
    format!(
        "{}, {} cores, Linux {}; Envoy {}, one worker; {}; {} rounds of {} requests.",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.envoy,
        machine.date,
        results.rounds,
        case::thousands(results.requests as usize)
    )
}

fn target_table(results: &Results) -> String {
    let mut table = format!("{}\n\n| | target | measured | |\n|---|---|---|---|\n", where_and_when(results));
    for row in targets::rows(results) {
        let _ = writeln!(table, "| {} | {} | {} | {} |", row.what, row.target, row.figure, row.verdict);
    }
    table
}

fn tables(results: &Results) -> String {
    let mut page = format!(
        "<!-- Written by `make bench`; change tests/src/costs instead. -->\n# Benchmarks\n\n\
         {}\n\nWhat was aimed at. A ratio is one of added processor time (over no filter) unless the row says otherwise; in brackets, where nine in ten \
         such ratios lie when the rounds are drawn anew from those that were measured.\n\n",
        where_and_when(results)
    );
    let targets = target_table(results);
    // The line on the machine stands above.
    page.push_str(targets.split_once("\n\n").map_or("", |(_, table)| table));
    page.push_str(
        "\n![Cost against number of rules](chart.svg)\n\n\
         Every case: microseconds that the worker thread spends on a request, by the kernel's scheduler. Medians over the rounds; differences are \
         taken within each round, with their quartiles in brackets. [`results.json`](results.json) has every round.\n\n\
         | case | all of the proxy | over | more (quartiles) |\n|---|---|---|---|\n",
    );
    for case in &results.cases {
        let _ = writeln!(
            page,
            "| {} | {:.1} | {} | {} |",
            case.name,
            Spread::of(&case.micros).median,
            case.base,
            case.over(results)
        );
    }
    page
}

/// Where the time goes.
fn parts(results: &Results) -> String {
    let micros = |name: &str| results.case(name).micros.clone();
    let spread = |values: &[f64]| {
        let Spread { median, p25, p75 } = Spread::of(values);
        format!("{median:+.2} ({p25:+.2} … {p75:+.2})")
    };
    let less = |one: &str, other: &str| differences(&micros(one), &micros(other));
    let mut part = format!("{}\n\n| entering the VM | µs (quartiles) |\n|---|---|\n", where_and_when(results));
    let mut before = case::NO_FILTER;
    for (name, _, what) in ENTRIES {
        let _ = writeln!(part, "| {what} | {} |", spread(&less(name, before)));
        before = name;
    }
    part.push_str("\n| a host call | the only one of a request, µs | each of ten more, µs |\n|---|---|---|\n");
    for (name, _, what) in CALLS {
        let (once, eleven) = (case::once(name), case::eleven_times(name));
        let more: Vec<_> = less(&eleven, &once).iter().map(|ten| ten / 10.0).collect();
        let _ = writeln!(part, "| {what} | {} | {} |", spread(&less(&once, ENTRY)), spread(&more));
    }
    part.push_str("\n| the filter | µs (quartiles) |\n|---|---|\n");
    for (what, one, other) in LAYERS {
        let _ = writeln!(part, "| {what} | {} |", spread(&less(one, other)));
    }
    part
}

/// What the filter does beyond another case.
const LAYERS: [(&str, &str, &str); 9] = [
    ("natively: a route whose cluster a header names, over a plain one", case::CLUSTER_HEADER, case::NO_FILTER),
    ("one get, one set and that route, without an SDK (the floor)", case::FLOOR, case::NO_FILTER),
    ("the Lua script's job by hand, over the floor", case::BY_HAND, case::FLOOR),
    (
        "the filter on a host that it does not know, over a module that reads the map: dispatcher, decoding, looking for the host",
        case::UNKNOWN_HOST,
        "module, map",
    ),
    ("the Lua script's job, over the same by hand: dispatcher, decoding, the decision", case::BARE, case::BY_HAND),
    ("filter state", case::WITH_STATE, case::BARE),
    ("metrics: entries for response and log, clock, counters", case::SHIPPED, case::WITH_STATE),
    ("Bookinfo over the Lua script's job: path, sticky split, a second control header", case::BOOKINFO, case::SHIPPED),
    ("the shipped route with its mirrors and host rewrite, over the plainest", case::BOOKINFO_MIRRORS, case::BOOKINFO),
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
        for (file, content) in written(&results, read) {
            assert!(content == read(Path::new(file)), "{file} is not what {RESULTS} says: run `make bench-pages`");
        }
    }
}
