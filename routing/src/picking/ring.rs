//! A rule's split under a policy that is sticky or moves a weight by the clock.
//!
//! A user's bucket is a point of the ring, and the versions are arcs of it. The default is in the middle. The first canary grows
//! from the beginning, the second from the end, so whoever grows takes points from the default alone. A third canary lies
//! between the first and the default, a fourth between the second and the default, and so on: who grows moves those that
//! lie between it and the default. That some must move is a fact of arithmetic, see `docs/reference/sticky.md`.

use std::sync::Arc;

use canary_config::Percentage;
use canary_config::timestamp::Timestamp;

use super::host_policy::HostPolicy;
use super::split::Split;
use super::target::Target;
use crate::draws::Fraction;

/// Who lies where. Indices are those of the rule's targets.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) policy: Arc<HostPolicy>,
    /// All targets along the ring.
    order: Vec<usize>,
    /// Their arcs, where no weight moves.
    arcs: Split,
    ramped: Option<Ramped>,
}

/// The default and the version whose weight moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ramped {
    default: usize,
    canary: usize,
}

impl Ring {
    /// The ring of a rule that splits; of several hosts with such a policy the first by name says how.
    pub(crate) fn compile(targets: &[Target]) -> Option<Self> {
        let policies = targets.iter().filter_map(|target| target.policy.as_ref());
        let acting = policies.filter(|policy| policy.sticky.is_some() || policy.ramp.is_some());
        let policy = Arc::clone(acting.min_by_key(|policy| &policy.host).filter(|_| targets.len() > 1)?);
        let ramped = policy.ramp.as_ref().and_then(|ramp| {
            let find = |subset: &str| targets.iter().position(|target| target.own.destination.is(&policy.host, subset));
            Some(Ramped { default: find(policy.default_subset()?)?, canary: find(&ramp.subset)? })
        });
        let order = order(targets, &policy);
        let weights: Vec<u64> = targets.iter().map(|target| target.weight.into()).collect();
        let arcs = arcs(&order, &weights);
        (ramped.is_some() || policy.sticky.is_some()).then_some(Self { policy, order, arcs, ramped })
    }

    /// The targets' indices along the ring.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The weights of the targets where the clock moves one: the canary has its share of the whole, as far as the
    /// default's weight and its own make it up; the default has what is left of the two.
    pub(crate) fn ramped_weights(
        &self,
        targets: &[Target],
        now: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Vec<u64>> {
        let (ramped, ramp) = (self.ramped?, self.policy.ramp.as_ref()?);
        // In millionths of the rule's unit, so that each share of the whole is an integer.
        let unit = u64::from(Percentage::ALL.millionths());
        let scaled = |target: &Target| u64::from(target.weight).saturating_mul(unit);
        let mut weights: Vec<u64> = targets.iter().map(scaled).collect();
        let whole = targets.iter().fold(0_u64, |sum, target| sum.saturating_add(target.weight.into()));
        let both = weights.get(ramped.default)?.saturating_add(*weights.get(ramped.canary)?);
        let canary = u64::from(ramp.share(now()).millionths()).saturating_mul(whole).min(both);
        *weights.get_mut(ramped.canary)? = canary;
        *weights.get_mut(ramped.default)? = both.saturating_sub(canary);
        Some(weights)
    }

    /// The index of the target on whose arc a bucket lies.
    pub(crate) fn pick(&self, ramped_weights: Option<&[u64]>, bucket: Fraction) -> Option<usize> {
        let place = match ramped_weights {
            Some(weights) => arcs(&self.order, weights).pick(bucket),
            None => self.arcs.pick(bucket),
        };
        self.order.get(place).copied()
    }
}

fn arcs(order: &[usize], weights: &[u64]) -> Split {
    Split::new(order.iter().map(|index| weights.get(*index).copied().unwrap_or_default()))
}

/// The canaries by their slots, even ones from the beginning, odd ones from the end; the default in the middle. A slot is
/// a place in the policy's order, for others the next free one by name: never a place in the rule.
fn order(targets: &[Target], policy: &HostPolicy) -> Vec<usize> {
    let named = &policy.ring_order;
    let is = |target: &Target, subset: &str| target.own.destination.is(&policy.host, subset);
    let rank = |target: &Target| named.iter().position(|subset| is(target, subset)).unwrap_or(named.len());
    let is_default = |target: &Target| policy.default_subset().is_some_and(|subset| is(target, subset));
    let (defaults, mut canaries): (Vec<_>, Vec<_>) =
        targets.iter().enumerate().partition(|(_, target)| is_default(target));
    canaries.sort_by_key(|(_, target)| {
        let destination = &target.own.destination;
        (rank(target), &destination.host, &destination.subset, destination.port)
    });
    let mut free = named.len()..;
    let (mut ring, mut end) = (Vec::new(), Vec::new());
    for (index, target) in canaries {
        let slot = Some(rank(target)).filter(|rank| *rank < named.len()).or_else(|| free.next()).unwrap_or_default();
        let side = if slot.is_multiple_of(2) { &mut ring } else { &mut end };
        side.push(index);
    }
    ring.extend(defaults.into_iter().map(|(index, _)| index));
    ring.extend(end.into_iter().rev());
    ring
}
