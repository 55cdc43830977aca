//! What a request costs the VM: instructions of the shipped module, counted by the fuel that they burn, and its host calls.
//! No clock is involved, so a figure holds on every machine.
//!
//! The figures are those of `tests/tests/data/budget.json`. Host calls have to be the same, instructions and memory to be within
//! [`TOLERANCE`]; `RECORD=1 cargo test -p e2e --test budget` writes what is measured. `make bench-pages` then writes the pages that
//! show them.

mod cases;
mod host;
mod large;

use std::{collections::BTreeMap, env, fs};

use e2e::{
    binaries,
    costs::budget::{Budget, Cost, LargeRequests},
    host_calls::{self, HostCall},
};

use cases::{Case, cases};
use host::{Module, Vm};

/// So many hundredths may instructions and memory differ from the figure.
const TOLERANCE: u64 = 10;
/// Until every series is defined, and all that grows with the first requests has grown.
const WARM_UP: u64 = 50;
const MEASURED: u64 = 20;
/// A leak of sixteen bytes for each would be more than what is free in a VM.
const LASTING: u64 = 10_000;
/// Requests that take longer are fewer, so that all of them together stay within so many instructions.
const MOST_INSTRUCTIONS: u64 = 300_000_000;

/// What one request costs, on average.
fn measure(vm: &mut Vm, case: &Case) -> Cost {
    let memory_kib = vm.memory() as u64 / 1_024;
    for _ in 0..WARM_UP {
        vm.request(&case.request);
    }
    assert!(vm.goes_on(), "{}: it goes on", case.name);
    assert_eq!(vm.version(), case.version, "{}: where it goes", case.name);
    vm.take_calls();
    let instructions = (0..MEASURED).map(|_| vm.request(&case.request)).sum::<u64>() / MEASURED;
    let mut calls = BTreeMap::new();
    for call in vm.take_calls() {
        *calls.entry(call.call.name().to_owned()).or_default() += 1;
    }
    calls.values_mut().for_each(|calls: &mut u64| *calls /= MEASURED);
    calls.retain(|_, calls| *calls > 0);
    Cost { instructions, memory_kib, calls }
}

fn assert_memory_is_constant(vm: &mut Vm, case: &Case, instructions: u64) {
    let (before, requests) = (vm.memory(), LASTING.min(MOST_INSTRUCTIONS / instructions));
    for _ in 0..requests {
        vm.request(&case.request);
    }
    assert_eq!(vm.memory(), before, "{}: bytes of memory before and after {requests} requests", case.name);
}

/// The host calls of one request, of which every later one makes the same.
fn calls_of(vm: &mut Vm, case: &Case) -> Vec<HostCall> {
    vm.take_calls();
    vm.request(&case.request);
    vm.take_calls()
}

/// The floor makes the host calls of the filter, and no others.
fn assert_floor_makes(calls: &[HostCall], case: &Case) {
    let text = host_calls::Module::floor(calls).text();
    let module = Module::compile(&wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
    let mut floor = Vm::start(&module, "");
    assert_eq!(calls_of(&mut floor, case), calls, "{}: its floor's host calls", case.name);
}

fn is_near(one: u64, other: u64) -> bool {
    one.abs_diff(other) * 100 <= other * TOLERANCE
}

fn is_within(cost: &Cost, recorded: &Cost) -> bool {
    is_near(cost.instructions, recorded.instructions)
        && is_near(cost.memory_kib, recorded.memory_kib)
        && cost.calls == recorded.calls
}

#[test]
fn a_request_costs_what_it_did() {
    let is_recording = env::var_os("RECORD").is_some_and(|record| !record.is_empty());
    let module = Module::compile(&fs::read(binaries::wasm()).expect("read the module"));
    let recorded = if is_recording { Budget::default() } else { Budget::read() };
    let (mut measured, mut wrong) = (Budget::default(), Vec::new());
    for case in cases() {
        let mut vm = Vm::start(&module, &case.document.to_string());
        let cost = measure(&mut vm, &case);
        assert_memory_is_constant(&mut vm, &case, cost.instructions);
        println!(
            "{:<64} {:>9} instructions, {:>6} KiB, host calls: {:?}",
            case.name, cost.instructions, cost.memory_kib, cost.calls
        );
        let before = recorded.cases.get(case.name);
        if !before.is_some_and(|before| is_within(&cost, before)) {
            wrong.push(format!("{}: {cost:?}, recorded is {before:?}", case.name));
        }
        if case.has_floor {
            let calls = calls_of(&mut vm, &case);
            assert_floor_makes(&calls, &case);
            if recorded.jobs.get(case.name) != Some(&calls) {
                wrong.push(format!(
                    "{}: host calls {calls:?}, recorded are {:?}",
                    case.name,
                    recorded.jobs.get(case.name)
                ));
            }
            measured.jobs.insert(case.name.to_owned(), calls);
        }
        measured.cases.insert(case.name.to_owned(), cost);
    }
    measured.large = large::worst(&module);
    let LargeRequests { shipped, copied } = &measured.large;
    for (worst, recorded) in [(shipped, &recorded.large.shipped), (copied, &recorded.large.copied)] {
        println!("the worst large request: {worst:?}");
        if !is_near(worst.instructions, recorded.instructions) {
            wrong.push(format!("the worst large request: {worst:?}, recorded is {recorded:?}"));
        }
    }
    if is_recording {
        fs::write(Budget::path(), measured.to_text()).expect("write budget.json");
        return;
    }
    assert!(
        wrong.is_empty(),
        "{}\nIf that is meant, record it: RECORD=1 cargo test -p e2e --test budget, and make bench-pages",
        wrong.join("\n")
    );
}
