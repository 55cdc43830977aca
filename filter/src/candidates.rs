//! Asks the candidate document what it would do, counts how that differs, and tells of some of it. Nothing of it is carried out.

use canary_routing::{Availability, Draws, RequestView, RouteTable, differences};
use sdk_shims::log;

use crate::metrics::{self, CANDIDATE_COMPARED, CANDIDATE_DIFFERENCES, CANDIDATE_DIFFERING};
use crate::told;

/// Decides a request by the live rules and by the candidate's, if the draws let the candidate see it: all of it, even what
/// is a guard's to carry out.
pub(crate) fn compare(table: &RouteTable, request: &impl RequestView, draws: &Draws, known: &dyn Availability) {
    let Some(candidate) = table.candidate(draws) else { return };
    let (live, other) = (table.decide_among(request, draws, known), candidate.decide_among(request, draws, known));
    metrics::count(&CANDIDATE_COMPARED, &[]);
    let respects: Vec<_> = differences(&live, &other).map(|difference| difference.as_str()).collect();
    if respects.is_empty() {
        return;
    }
    for respect in &respects {
        metrics::count(&CANDIDATE_DIFFERENCES, &[respect]);
    }
    if told::may_tell(metrics::count(&CANDIDATE_DIFFERING, &[])) {
        let (respects, live, other) = (respects.join(", "), live.explanation(), other.explanation());
        log::info!("the candidate differs in {respects}: live {live} | candidate {other} (told once a second)");
    }
}
