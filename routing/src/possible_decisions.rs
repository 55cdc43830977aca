//! All possible decisions for a request, for display.

use canary_config::{Fault, Percentage};

use crate::decision::Decision;
use crate::draws::{Draws, Fraction};
use crate::health::Health;
use crate::request::Request;
use crate::route::ActionKind;
use crate::table::RouteTable;

/// A possible decision, and its share of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct PossibleDecision<'t> {
    /// The share, above 0 and at most 1. For display only.
    pub share: f64,
    /// The decision.
    pub decision: Decision<'t>,
}

impl Request {
    /// Every decision that the split and the faults may give, with its share. Mirrors are as with draws of 0.
    #[must_use]
    pub fn possible_decisions<'t>(&self, table: &'t RouteTable, health: &dyn Health) -> Vec<PossibleDecision<'t>> {
        possible_decisions(table, self, health)
    }
}

fn possible_decisions<'t>(table: &'t RouteTable, request: &Request, health: &dyn Health) -> Vec<PossibleDecision<'t>> {
    let first = request.decide(table, &Draws::default(), health);
    let Some(route) = first.route else { return vec![PossibleDecision { share: 1.0, decision: first }] };
    let faults: Vec<&Fault> = route.action.faults().collect();
    let delays = chances_of(faults.iter().filter_map(|fault| Some(fault.delay?.percentage)));
    let aborts = chances_of(faults.iter().filter_map(|fault| Some(fault.abort?.percentage)));
    let splits: Vec<_> = match &route.action.kind {
        ActionKind::Forward(forwarding) => {
            forwarding.split_by(forwarding.ramped_weights(request).as_deref()).chances().collect()
        }
        ActionKind::Redirect(_) | ActionKind::DirectResponse(_) => vec![(Fraction::default(), 1.0)],
    };
    let mut possible: Vec<PossibleDecision<'t>> = Vec::new();
    for (delay, delay_share) in &delays {
        for (abort, abort_share) in &aborts {
            for (split, split_share) in &splits {
                let draws = Draws { split: *split, delay: *delay, abort: *abort, ..Draws::default() };
                let decision = request.decide(table, &draws, health);
                // A client cannot see which version an abort replaced.
                let decision = Decision { aborted: None, ..decision };
                add(&mut possible, delay_share * abort_share * split_share, decision);
            }
        }
    }
    possible
}

/// Ranges of draws in which the same percentages hold: the first draw of each, and its share.
fn chances_of(percentages: impl Iterator<Item = Percentage>) -> Vec<(Fraction, f64)> {
    let all = Percentage::ALL.millionths();
    let mut bounds: Vec<u32> = percentages.map(Percentage::millionths).chain([0, all]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let ranges = bounds.iter().zip(bounds.iter().skip(1));
    let chance = |(low, high): (&u32, &u32)| {
        (Fraction::ratio(u64::from(*low), all.into()), f64::from(high.saturating_sub(*low)) / f64::from(all))
    };
    ranges.map(chance).collect()
}

/// Adds a decision. Equal decisions are merged.
fn add<'t>(possible: &mut Vec<PossibleDecision<'t>>, share: f64, decision: Decision<'t>) {
    match possible.iter_mut().find(|known| known.decision == decision) {
        Some(known) => known.share += share,
        None => possible.push(PossibleDecision { share, decision }),
    }
}
