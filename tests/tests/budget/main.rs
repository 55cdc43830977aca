//! What a request costs the VM: instructions of the shipped module, counted by the fuel that they burn, and its host calls.
//! No clock is involved, so a figure holds on every machine.
//!
//! The figures are those of `tests/tests/data/budget.json`. Host calls have to be the same, instructions to be within
//! [`TOLERANCE`]; `RECORD=1 cargo test -p e2e --test budget` writes what is measured.

mod cases;
mod host;

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use e2e::binaries;
use serde_json::{Value, json};

use cases::{Case, cases};
use host::{Module, Vm};

/// So many hundredths may the instructions of a request differ from the figure.
const TOLERANCE: u64 = 10;
/// Until every series is defined, and all that grows with the first requests has grown.
const WARM_UP: u64 = 50;
const MEASURED: u64 = 20;
/// A leak of sixteen bytes for each would be more than what is free in a VM.
const LASTING: u64 = 10_000;
/// Requests that take longer are fewer, so that all of them together stay within so many instructions.
const MOST_INSTRUCTIONS: u64 = 300_000_000;

/// What one request costs, on average: instructions, and calls of each import.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    instructions: u64,
    calls: BTreeMap<String, u64>,
}

fn figures() -> PathBuf {
    binaries::workspace().join("tests/tests/data/budget.json")
}

fn measure(vm: &mut Vm, case: &Case) -> Cost {
    for _ in 0..WARM_UP {
        vm.request(&case.request);
    }
    assert_eq!(vm.version(), case.version, "{}: where it goes", case.name);
    vm.forget_calls();
    let instructions = (0..MEASURED).map(|_| vm.request(&case.request)).sum::<u64>() / MEASURED;
    let calls = vm.forget_calls().into_iter().map(|(name, calls)| (name.to_owned(), calls / MEASURED));
    Cost { instructions, calls: calls.filter(|(_, calls)| *calls > 0).collect() }
}

fn assert_memory_is_constant(vm: &mut Vm, case: &Case, instructions: u64) {
    let (before, requests) = (vm.memory(), LASTING.min(MOST_INSTRUCTIONS / instructions));
    for _ in 0..requests {
        vm.request(&case.request);
    }
    assert_eq!(vm.memory(), before, "{}: bytes of memory before and after {requests} requests", case.name);
}

fn recorded(figures: &Value, case: &str) -> Option<Cost> {
    let figure = figures.get(case)?;
    let calls = figure["calls"].as_object()?.iter().map(|(name, calls)| Some((name.clone(), calls.as_u64()?)));
    Some(Cost { instructions: figure["instructions"].as_u64()?, calls: calls.collect::<Option<_>>()? })
}

#[test]
fn a_request_costs_what_it_did() {
    let module = Module::compile(&fs::read(binaries::wasm()).expect("read the module"));
    let path = figures();
    let text = fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
    let figures: Value = serde_json::from_str(&text).expect("JSON in budget.json");
    let (mut measured, mut wrong) = (serde_json::Map::new(), Vec::new());
    for case in cases() {
        let mut vm = Vm::start(&module, &case.document.to_string());
        let cost = measure(&mut vm, &case);
        assert_memory_is_constant(&mut vm, &case, cost.instructions);
        println!("{:<44} {:>9} instructions, host calls: {:?}", case.name, cost.instructions, cost.calls);
        let before = recorded(&figures, case.name);
        let is_within = before.as_ref().is_some_and(|before| {
            let difference = before.instructions.abs_diff(cost.instructions);
            difference * 100 <= before.instructions * TOLERANCE && before.calls == cost.calls
        });
        if !is_within {
            wrong.push(format!("{}: {cost:?}, recorded is {before:?}", case.name));
        }
        measured.insert(case.name.to_owned(), json!({"instructions": cost.instructions, "calls": cost.calls}));
    }
    if env::var_os("RECORD").is_some_and(|record| !record.is_empty()) {
        let text = serde_json::to_string_pretty(&measured).expect("JSON");
        fs::write(&path, text + "\n").expect("write budget.json");
        return;
    }
    assert!(
        wrong.is_empty(),
        "{}\nIf that is meant, record it: RECORD=1 cargo test -p e2e --test budget",
        wrong.join("\n")
    );
}
