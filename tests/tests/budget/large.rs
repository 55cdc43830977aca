//! The large requests that take the most instructions, of all bytes and headers: under the shipped rules, and under others.

use e2e::{
    costs::budget::{Large, LargeRequests},
    workload::{
        header_map,
        large::{self, HARMLESS, Subject, UNKNOWN},
    },
};

use crate::host::{Module, Vm};

/// A request that takes more counts as one that takes so many.
const MAX_INSTRUCTIONS: u64 = 100_000_000;

/// The worst of all shipped examples, and of the copied regular expressions.
pub(crate) fn worst(module: &Module) -> LargeRequests {
    let (copied, shipped): (Vec<_>, Vec<_>) = large::subjects().into_iter().partition(Subject::is_copied);
    let worst = |subjects: &[Subject]| {
        let worst = subjects.iter().map(|subject| worst_of(module, subject));
        worst.max_by_key(|large| large.instructions).expect("a subject")
    };
    LargeRequests { shipped: worst(&shipped), copied: worst(&copied) }
}

/// The worst under one document, and the harmless one to the same authority and path. Requests that the filter answers or
/// delays are not among them: the benchmark needs an upstream's answer.
fn worst_of(module: &Module, subject: &Subject) -> Large {
    let mut vm = Vm::start(module, &subject.document.to_string());
    let mut worst = Large::default();
    for (authority, path) in &subject.targets {
        let mut taken = (0, true);
        let mut take = |header: &str, kind: &str| {
            let request = header_map(&large::request(authority, path, header, kind));
            // What grows with the first has grown before the second.
            for request in [&request; 2] {
                let Ok(instructions) = vm.request_within(request, MAX_INSTRUCTIONS) else {
                    vm = Vm::start(module, &subject.document.to_string());
                    return (MAX_INSTRUCTIONS, true);
                };
                vm.take_calls();
                taken = (instructions, vm.goes_on());
            }
            taken
        };
        let (harmless, _) = take(UNKNOWN, HARMLESS);
        for (header, kind) in
            subject.headers.iter().flat_map(|header| large::kinds(header).map(move |kind| (header, kind)))
        {
            let (instructions, goes_on) = take(header, kind);
            if instructions > worst.instructions && goes_on {
                worst = Large {
                    subject: subject.name.clone(),
                    authority: authority.clone(),
                    path: path.clone(),
                    header: header.clone(),
                    kind: kind.to_owned(),
                    instructions,
                    harmless,
                };
            }
        }
    }
    println!(
        "{:<48} {:>10} instructions, harmless {:>9}: {} of {}",
        worst.subject, worst.instructions, worst.harmless, worst.header, worst.kind
    );
    worst
}
