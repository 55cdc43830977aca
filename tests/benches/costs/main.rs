//! Measures the cost of the filter and of its alternatives in one stock Envoy on this machine; see `docs/benchmarks`.
//!
//! `ROUNDS`, `SLICE_MS` and `RELOADS` make it shorter or longer. Every answer is asserted. As an argument, `short` asserts that alone,
//! with fewer rules where many are meant, and writes nothing; `pages` writes the pages again from the results that are kept.

mod cases;
mod effort;
mod latency;
mod loading;

use std::{env, fs, path::Path, thread, time::Duration};

use cases::{Row, UPSTREAMS};
use e2e::{
    bench::{Bench, Saturated, cores::Cores},
    binaries::{self, EnvoyBinary, workspace},
    costs::{Latency, Machine, Measured, Results, budget::Budget, pages, targets},
    failover::Failover,
    statistics::median,
};
use effort::Effort;
use fastrand::Rng;
use tokio::runtime::Builder;

/// The time limit for a benchmark that hangs.
const LONGEST: Duration = Duration::from_secs(7_200);

/// What a request costs and waits.
struct Requests {
    cases: Vec<Measured>,
    /// See [`Results`].
    busy: f64,
    load_micros: f64,
    latency: Latency,
}

/// All cases in one proxy.
async fn requests(binary: &EnvoyBinary, cores: Cores, effort: &Effort) -> Requests {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let failover = Failover::newest(&binary.version);
    let rows = cases::all(folder.path(), effort, failover);
    eprintln!("what a request costs, {} cases", rows.len());
    let cases: Vec<_> = rows.iter().map(|row| row.case.clone()).collect();
    let mut bench = Bench::start(binary, cores, &UPSTREAMS, &cases::failover_clusters(failover), &cases).await;
    for (index, row) in rows.iter().enumerate() {
        row.check(&mut bench);
        bench.saturate(index, effort.warm_up);
    }
    let slices = rounds(&mut bench, rows.len(), effort);
    let busy: Vec<_> = slices.iter().flatten().map(|slice| slice.busy).collect();
    let measured: Vec<_> = rows.iter().zip(&slices).map(measured).collect();
    eprintln!("what it waits");
    let latency = latency::measure(&mut bench, &measured, cores.are_two(), effort);
    bench.envoy.assert_no_crash();
    let load: Vec<_> = slices[0].iter().map(|slice| slice.load_micros).collect();
    let round = |value: f64| (value * 100.0).round() / 100.0;
    Requests { cases: measured, busy: round(median(&busy)), load_micros: round(median(&load)), latency }
}

/// The slices of each case, each round in another order.
fn rounds(bench: &mut Bench, cases: usize, effort: &Effort) -> Vec<Vec<Saturated>> {
    let (mut slices, mut random) = (vec![Vec::new(); cases], Rng::new());
    let mut order: Vec<_> = (0..cases).collect();
    for round in 1..=effort.rounds {
        random.shuffle(&mut order);
        for case in &order {
            slices[*case].push(bench.saturate(*case, effort.slice));
        }
        eprintln!("round {round} of {}", effort.rounds);
    }
    slices
}

fn measured((row, slices): (&Row, &Vec<Saturated>)) -> Measured {
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    let per_second: Vec<_> = slices.iter().map(|slice| slice.per_second).collect();
    Measured {
        name: row.case.name.clone(),
        base: row.base.to_owned(),
        micros: slices.iter().map(|slice| hundredths(slice.micros)).collect(),
        per_second: median(&per_second).round(),
    }
}

async fn measure(cores: Cores, available: usize, effort: &Effort) -> Results {
    let binary = binaries::envoys().unwrap_or_else(|error| panic!("{error}")).remove(0);
    let Requests { cases, busy, load_micros, latency } = requests(&binary, cores, effort).await;
    eprintln!("what {} rules take, and {} reloads of them", effort.rules, effort.reloads);
    let (loading, reload) = loading::measure(&binary, cores, effort).await;
    Results {
        machine: Machine::here(&binary.version, available),
        rounds: effort.rounds,
        slice_millis: u64::try_from(effort.slice.time.as_millis()).expect("a short time"),
        busy,
        load_micros,
        large: Budget::read().large,
        filter_bytes: fs::metadata(binaries::wasm()).expect("the filter").len(),
        cases,
        latency,
        loading,
        reload,
    }
}

fn print(results: &Results) {
    println!("{:<66} {:>8}   {:>26}", "microseconds of processor time", "median", "more (90 % interval)");
    for case in &results.cases {
        println!("{:<66} {:>8.1}   {:>26}", case.name, median(&case.micros), case.over(results));
    }
    println!();
    for row in targets::rows(results, &Budget::read()) {
        println!("{:<92} {:>10}   {:<30} {}", row.what, row.target, row.figure, row.verdict);
    }
    if let Some(why) = results.why_undecided() {
        println!("\nNo verdict on what was timed: {why}");
    }
}

fn write(results: &Results) {
    let read =
        |file: &Path| fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    for (file, content) in pages::written(results, &Budget::read(), read) {
        fs::write(workspace().join(file), content).unwrap_or_else(|error| panic!("{file}: {error}"));
        println!("{file}");
    }
}

fn main() {
    let has = |wanted: &str| env::args().any(|argument| argument == wanted);
    if has("pages") {
        let text = fs::read_to_string(workspace().join(pages::RESULTS)).expect("results");
        return write(&Results::from_text(&text).expect("results"));
    }
    let effort = Effort::new(has("short"));
    let available = thread::available_parallelism().map_or(1, usize::from);
    // Before there is another thread, so that all of them are on the core of the load.
    let cores = Cores::take();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
    let results = runtime.block_on(async { tokio::time::timeout(LONGEST, measure(cores, available, &effort)).await });
    let results = results.expect("done in time");
    if effort.is_short {
        return println!("every answer was right; nothing was measured");
    }
    print(&results);
    write(&results);
    assert!(results.reload.is_flat(), "memory grows with each reload: {:?} KiB", results.reload.kib);
}
