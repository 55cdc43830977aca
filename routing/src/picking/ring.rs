//! The split of a rule under a policy that is sticky or has a ramp.
//!
//! A user's bucket is a point on the ring. Each version has an arc. The default is in the middle. The first canary
//! grows from the start and the second from the end, so a growing one takes users from the default only. The third
//! canary lies between the first and the default, the fourth between the second and the default, and so on. A growing
//! canary moves the users of the canaries between it and the default. `docs/reference/sticky.md` shows why some users
//! must move.

use std::sync::Arc;

use canary_config::Percentage;
use canary_config::timestamp::Timestamp;

use super::host_policy::HostPolicy;
use super::split::Split;
use super::target::Target;
use crate::draws::Fraction;

/// The order of the versions along the ring. Indices are those of the rule's targets.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) policy: Arc<HostPolicy>,
    /// All targets along the ring.
    order: Vec<usize>,
    /// The arcs without a ramp.
    arcs: Split,
    ramped: Option<Ramped>,
}

/// The indices of the default and of the version on the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ramped {
    default: usize,
    canary: usize,
}

impl Ring {
    /// The ring of a rule that splits. If several hosts have such a policy, the first host by name counts.
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

    /// The indices of the targets along the ring.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The weights of the targets during a ramp. The canary takes its share of all requests, at most its own and the
    /// default's weight together. The default keeps the rest of the two.
    pub(crate) fn ramped_weights(
        &self,
        targets: &[Target],
        now: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Vec<u64>> {
        let (ramped, ramp) = (self.ramped?, self.policy.ramp.as_ref()?);
        // In millionths of a weight, so that each share is an integer.
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

    /// The index of the target whose arc contains a bucket.
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

/// The targets along the ring: canaries with even slots from the start, canaries with odd slots from the end, the
/// default in the middle. A slot is the position in the policy's order, or else the next free one by name. It does not
/// depend on the order of the rule.
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
