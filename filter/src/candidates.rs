//! Asks the candidate document what it would do, counts how that differs, and tells of some of it. Nothing of it is carried out.
//!
//! `canary_candidate_compared_total`, `canary_candidate_differing_total`, and `canary_candidate_differences_total.RESPECT`: a
//! request may differ in several respects.

use std::cell::RefCell;

use canary_routing::{Availability, Draws, RequestView, RouteTable, differences};
use sdk_shims::log;

use crate::counters::Counters;

thread_local! {
    /// A VM is one thread.
    static COMPARED: RefCell<Counters> = RefCell::new(Counters::new("canary_candidate_compared_total"));
    static DIFFERING: RefCell<Counters> = RefCell::new(Counters::new("canary_candidate_differing_total"));
    static DIFFERENCES: RefCell<Counters> = RefCell::new(Counters::new("canary_candidate_differences_total"));
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    for counters in [&COMPARED, &DIFFERING, &DIFFERENCES] {
        counters.with_borrow_mut(Counters::clear);
    }
}

/// Decides a request by the live rules and by the candidate's, if the draws let the candidate see it: all of it, even what
/// is a guard's to carry out.
pub(crate) fn compare(table: &RouteTable, request: &impl RequestView, draws: &Draws, known: &dyn Availability) {
    let Some(candidate) = table.candidate(draws) else { return };
    let (live, other) = (table.decide_among(request, draws, known), candidate.decide_among(request, draws, known));
    COMPARED.with_borrow_mut(|compared| compared.count_words(&[]));
    let respects: Vec<_> = differences(&live, &other).map(|difference| difference.as_str()).collect();
    if respects.is_empty() {
        return;
    }
    for respect in &respects {
        DIFFERENCES.with_borrow_mut(|differences| differences.count_words(&[respect]));
    }
    if DIFFERING.with_borrow_mut(|differing| differing.count_words(&[])) {
        let (respects, live, other) = (respects.join(", "), live.explanation(), other.explanation());
        log::info!("the candidate differs in {respects}: live {live} | candidate {other} (told once a second)");
    }
}
