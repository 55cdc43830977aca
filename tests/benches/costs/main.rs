//! What the filter costs beside what else could do its work, in one stock Envoy on this machine; see `docs/benchmarks`.
//!
//! `ROUNDS`, `REQUESTS` (for each case in each round) and `RELOADS` make it shorter or longer. Every answer is asserted. With fewer
//! than ten rounds only that counts: where many rules are meant there are fewer, no figures are shown, and the pages stay as they
//! are. `pages` as an argument writes them anew from the results that are kept.

mod cases;
mod latency;
mod loading;
mod reload;
mod rules;

use std::{env, fs, path::Path, time::Duration};

use cases::{Checked, UPSTREAMS};
use e2e::{
    binaries::{self, EnvoyBinary, workspace},
    costs::{Machine, Measured, Results, case, pages, targets},
    rounds::{Field, number},
    statistics::Spread,
};
use tokio::runtime::Runtime;

const ROUNDS: u64 = 60;
const REQUESTS: u64 = 1_000;
const RELOADS: u64 = 300;
/// Fewer say nothing.
const ENOUGH_ROUNDS: u64 = 10;
/// A hang must not go on for ever.
const LONGEST: Duration = Duration::from_secs(7_200);

/// How much of everything.
#[derive(Debug)]
pub(crate) struct Effort {
    rounds: u64,
    /// Of a slice.
    requests: u64,
    /// Of each case, until its VM has compiled what it will compile.
    warm_up: u64,
    /// That show the rate which the proxy can just bear.
    saturating: u64,
    latency_rounds: u64,
    /// How long requests come in each of them.
    latency_millis: u64,
    /// How many rules are loaded and reloaded.
    rules: usize,
    loads: usize,
    memories: usize,
    reloads: usize,
}

impl Effort {
    fn from_environment() -> Self {
        let (rounds, requests) = (number("ROUNDS", ROUNDS), number("REQUESTS", REQUESTS));
        if rounds < ENOUGH_ROUNDS {
            let (latency_rounds, latency_millis) = (2, 200);
            let (rules, loads, memories, reloads) = (500, 2, 1, 10);
            let (warm_up, saturating) = (requests, requests);
            return Self {
                rounds,
                requests,
                warm_up,
                saturating,
                latency_rounds,
                latency_millis,
                rules,
                loads,
                memories,
                reloads,
            };
        }
        Self {
            rounds,
            requests,
            warm_up: 5_000,
            saturating: 20_000,
            latency_rounds: rounds / 2,
            latency_millis: 2_000,
            rules: 10_000,
            loads: 20,
            memories: 3,
            reloads: number("RELOADS", RELOADS) as usize,
        }
    }

    fn is_enough(&self) -> bool {
        self.rounds >= ENOUGH_ROUNDS
    }

    /// As many as a case's name says, where that is to be measured.
    pub(crate) fn many(&self, full: usize) -> usize {
        if self.is_enough() { full } else { (full / 100).max(10) }
    }
}

async fn costs(binary: &EnvoyBinary, cases: &[Checked], effort: &Effort) -> Vec<Measured> {
    let mut field = Field::start(binary, &UPSTREAMS, cases.iter().map(|checked| checked.case.clone()).collect()).await;
    for checked in cases {
        checked.check(&field).await;
    }
    field.warm_up(effort.warm_up, effort.requests).await;
    let spent = field.rounds(effort.rounds).await;
    field.envoy.assert_no_crash();
    let tenths = |micros: Vec<f64>| micros.into_iter().map(|micros| (micros * 10.0).round() / 10.0).collect();
    let measured = |(checked, micros): (&Checked, Vec<f64>)| Measured {
        name: checked.case.name.clone(),
        base: checked.base.to_owned(),
        micros: tenths(micros),
    };
    cases.iter().zip(spent).map(measured).collect()
}

async fn measure() -> (Results, bool) {
    let effort = Effort::from_environment();
    let binary = binaries::envoys().unwrap_or_else(|error| panic!("{error}")).remove(0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases = cases::all(folder.path(), &effort);
    let both = [case::NO_FILTER, case::BOOKINFO];
    let both = cases.iter().filter(|checked| both.contains(&checked.case.name.as_str()));
    let both = both.map(|checked| checked.case.clone()).collect();
    eprintln!("what a request costs, {} cases", cases.len());
    let costs = costs(&binary, &cases, &effort).await;
    eprintln!("what it waits");
    let latency = latency::measure(&binary, both, &effort).await;
    eprintln!("what {} rules take", effort.rules);
    let loading = loading::measure(&binary, &effort).await;
    eprintln!("{} reloads of them", effort.reloads);
    let reload = reload::measure(&binary, &effort).await;
    let results = Results {
        machine: Machine::here(&binary.version),
        rounds: effort.rounds,
        requests: effort.requests,
        filter_bytes: fs::metadata(binaries::wasm()).expect("the filter").len(),
        cases: costs,
        latency,
        loading,
        reload,
    };
    (results, effort.is_enough())
}

fn print(results: &Results) {
    println!("{:<60} {:>8}   {:>26}", "microseconds of processor time", "median", "more (p25 … p75)");
    for case in &results.cases {
        println!("{:<60} {:>8.1}   {:>26}", case.name, Spread::of(&case.micros).median, case.over(results));
    }
    println!();
    for row in targets::rows(results) {
        println!("{:<90} {:>10}   {:<36} {}", row.what, row.target, row.figure, row.verdict);
    }
}

fn write(results: &Results) {
    let read =
        |file: &Path| fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    for (file, content) in pages::written(results, read) {
        fs::write(workspace().join(file), content).unwrap_or_else(|error| panic!("{file}: {error}"));
        println!("{file}");
    }
}

fn main() {
    if env::args().any(|argument| argument == "pages") {
        let text = fs::read_to_string(workspace().join(pages::RESULTS)).expect("results");
        return write(&Results::from_text(&text).expect("results"));
    }
    let runtime = Runtime::new().expect("a tokio runtime");
    let (results, is_enough) =
        runtime.block_on(async { tokio::time::timeout(LONGEST, measure()).await }).expect("done in time");
    if is_enough {
        print(&results);
        write(&results);
        assert!(results.reload.is_flat(), "memory grows with each reload: {:?} KiB", results.reload.kib);
    } else {
        println!("every answer was right; fewer than {ENOUGH_ROUNDS} rounds say nothing of costs");
    }
}
