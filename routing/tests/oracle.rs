//! Compares the compiled index with independent code that tries the rules one by one. The index may change the cost of a
//! decision, but never its result. Each of `PROPTEST_CASES` has 64 decisions, so 20,000 cases make 1,280,000.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

#[path = "oracle/cases.rs"]
mod cases;
#[path = "oracle/scan.rs"]
mod scan;

use std::collections::BTreeMap;

use canary_config::Config;
use canary_routing::{AllHealthy, Draws, Outcome, Request, RouteTable};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use cases::{Case, REQUESTS};
use scan::{Entry, Plain, Rules};

/// The result for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// No object has the host on this port.
    Untouched,
    /// No entry matches.
    NoRule,
    /// The first entry that matches, by the name of its route.
    Route(String),
}

impl Verdict {
    fn of(entry: Option<&Entry>) -> Self {
        entry.map_or(Self::NoRule, |entry| Self::Route(entry.route.clone()))
    }
}

/// The decision of the crate.
fn decide(table: &RouteTable, request: &Plain) -> Verdict {
    let url = format!("{}://{}:{}", request.scheme, request.host, request.port);
    let mut view = Request::get(&url);
    view.method = request.method.clone().into();
    view.path = request.path.clone().into();
    view.headers = request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let decision = view.decide(table, &Draws::default(), &AllHealthy);
    match (decision.route, decision.outcome) {
        (Some(route), _) => Verdict::Route((*route.name).to_owned()),
        (None, Outcome::Untouched) => Verdict::Untouched,
        (None, _) => Verdict::NoRule,
    }
}

/// Tries the entries one by one. `pick` selects one of those that match.
fn scan(rules: &Rules, request: &Plain, pick: impl Fn(&[&Entry]) -> Option<usize>) -> Verdict {
    let Some(entries) = rules.entries(&request.host, request.port) else { return Verdict::Untouched };
    let matching: Vec<&Entry> = entries.iter().filter(|entry| scan::satisfies(entry, request)).collect();
    Verdict::of(pick(&matching).map(|position| matching[position]))
}

fn first(matching: &[&Entry]) -> Option<usize> {
    (!matching.is_empty()).then_some(0)
}

fn compile(document: &Value) -> RouteTable {
    let (config, _) = Config::read(document).unwrap_or_else(|errors| panic!("{errors}"));
    RouteTable::compile(&config)
}

/// The first request of a case for which `decider` and the entries in order have different results.
fn difference(case: &Case, decider: impl Fn(&Plain) -> Verdict) -> Option<(Plain, Verdict, Verdict)> {
    let judged = case.requests.iter().map(|request| (request, decider(request), scan(&case.rules, request, first)));
    let mut wrong = judged.filter(|(_, decided, scanned)| decided != scanned);
    wrong.next().map(|(request, decided, scanned)| (request.clone(), decided, scanned))
}

/// Generating a configuration takes longer than a decision, so a case has many requests.
fn settings() -> ProptestConfig {
    let settings = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: (settings.cases * 64).div_ceil(REQUESTS as u32), ..settings }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn decides_as_the_rules_tried_one_by_one(case in cases::case()) {
        let table = compile(&case.document);
        prop_assert_eq!(difference(&case, |request| decide(&table, request)), None);
    }
}

/// The same cases in every run.
fn fixed_cases(count: usize) -> impl Iterator<Item = Case> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| cases::case().new_tree(&mut runner).unwrap().current())
}

/// The kinds of look-ups by which an index could find an entry.
fn kinds(entry: &Entry) -> Vec<String> {
    let fields = entry.matcher.as_object().unwrap().iter().flat_map(|(field, value)| match field.as_str() {
        "headers" | "queryParams" => value.as_object().unwrap().iter().map(|(_, wanted)| (field, wanted)).collect(),
        "uri" | "method" | "scheme" | "authority" => vec![(field, value)],
        _ => vec![],
    });
    let kind = |(field, wanted): (&String, &Value)| {
        let (kind, text) = wanted.as_object().unwrap().iter().next()?;
        let kind = match text.as_str().unwrap() {
            "" if kind == "prefix" => return None,
            pattern if kind == "regex" && pattern.contains(";)?") => "element",
            pattern if kind == "regex" && !pattern.contains('|') && !pattern.starts_with(['.', '[']) => {
                "start of regex"
            }
            _ if kind == "regex" => return None,
            _ => kind,
        };
        Some(format!("{field} {kind}"))
    };
    fields.filter_map(kind).collect()
}

/// Deciders that select the wrong one of several entries that match.
#[test]
fn finds_a_wrong_order() {
    type Pick = fn(&[&Entry]) -> Option<usize>;
    let planted: [(&str, Pick); 4] = [
        ("the last", |matching| matching.len().checked_sub(1)),
        ("indexed routes before others", |matching| {
            matching.iter().position(|entry| !kinds(entry).is_empty()).or(first(matching))
        }),
        ("exact values before prefixes", |matching| {
            let exact = |entry: &&Entry| kinds(entry).iter().any(|kind| kind.ends_with("exact"));
            matching.iter().position(exact).or(first(matching))
        }),
        ("the second of many", |matching| if matching.len() > 2 { Some(1) } else { first(matching) }),
    ];
    let cases: Vec<Case> = fixed_cases(16).collect();
    for (name, pick) in planted {
        let found = cases.iter().filter(|case| difference(case, |request| scan(&case.rules, request, pick)).is_some());
        assert!(found.count() > 4, "{name}: too rarely noticed");
    }
    assert!(cases.iter().all(|case| difference(case, |request| scan(&case.rules, request, first)).is_none()));
}

/// Every kind of look-up decides some requests. The routes can be found by that kind only, among more routes than are tried
/// without an index.
#[test]
fn cases_reach_every_kind_of_lookup() {
    const CASES: usize = 64;
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: String| *reached.entry(what).or_default() += 1;
    for case in fixed_cases(CASES) {
        for request in &case.requests {
            let entries = case.rules.entries(&request.host, request.port).filter(|entries| entries.len() >= 16);
            let Some(entries) = entries else {
                count("few or no entries".to_owned());
                continue;
            };
            let matching: Vec<&Entry> = entries.iter().filter(|entry| scan::satisfies(entry, request)).collect();
            count(["no match", "one match", "several matches"][matching.len().min(2)].to_owned());
            let Some(winner) = matching.first() else { continue };
            match kinds(winner).as_slice() {
                [] => count("rest".to_owned()),
                [kind] => count(kind.clone()),
                _ => {}
            }
        }
    }
    let expected = [
        "authority exact",
        "authority prefix",
        "few or no entries",
        "headers element",
        "headers exact",
        "headers prefix",
        "headers start of regex",
        "method exact",
        "no match",
        "one match",
        "queryParams exact",
        "queryParams prefix",
        "rest",
        "scheme exact",
        "several matches",
        "uri exact",
        "uri prefix",
        "uri start of regex",
    ];
    for what in expected {
        let times = reached.get(what).copied().unwrap_or(0);
        assert!(times >= 10, "{what}: {times} of {} decisions; all: {reached:#?}", CASES * REQUESTS);
    }
}
