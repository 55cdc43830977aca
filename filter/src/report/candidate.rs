//! Compares the candidate's decisions with the live ones, counts the differences, and logs some. The candidate's
//! decisions are never applied.

use canary_routing::{DecisionInput, RouteTable, differences};

use super::log_limit::LogLimit;
use super::metrics::Registry;
use super::metrics::catalogue::{CANDIDATE_COMPARED, CANDIDATE_DIFFERENCES, CANDIDATE_DIFFERING};
use crate::host::{Host, Pairs};

/// Decides a request by the live rules, and by the candidate's if the draw selects it.
pub(crate) fn compare(
    host: &impl Host,
    (registry, limit): (&Registry, &LogLimit),
    table: &RouteTable,
    input: &DecisionInput<'_>,
    headers: &impl Pairs,
) {
    let Some(candidate) = table.candidate(input.chance) else { return };
    let head = candidate.read_head(headers.pairs());
    let live = table.decide(input);
    let other = candidate.decide(&DecisionInput { head: &head, ..*input });
    registry.count(host, &CANDIDATE_COMPARED, &[]);
    let respects: Vec<_> = differences(&live, &other).map(|difference| difference.as_str()).collect();
    if respects.is_empty() {
        return;
    }
    for respect in &respects {
        registry.count(host, &CANDIDATE_DIFFERENCES, &[respect]);
    }
    if limit.allows(host, registry.count(host, &CANDIDATE_DIFFERING, &[])) {
        let (respects, live, other) = (respects.join(", "), live.explanation(), other.explanation());
        log::info!("the candidate differs in {respects}: live {live} | candidate {other} (logged once a second)");
    }
}
