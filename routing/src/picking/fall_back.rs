//! Finds the version that serves if the picked one cannot.

use std::borrow::Cow;

use super::host_policy::HostPolicy;
use super::pick::Pick;
use super::resolver::Resolver;
use super::target::{Target, Version};
use crate::decision::{Fallback, MAX_SKIPPED, Skipped};
use crate::destination::Destination;
use crate::draws::Draw;
use crate::health::FallbackReason;
use crate::route::Forwarding;

/// Whether a version can replace another one, with the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Availability {
    /// Nothing says that it cannot serve.
    Available,
    /// It serves only if no other version can.
    Ejected,
    /// It cannot serve.
    Unavailable,
}

impl<'t> Resolver<'t, '_> {
    /// The pick itself if it can serve, otherwise the first version of the policy's order that can. If none can, the
    /// first version that is only ejected, otherwise the default. Without a policy, health is not checked.
    pub(super) fn fall_back(&self, forwarding: &'t Forwarding, pick: Pick<'t>) -> Pick<'t> {
        let Some(policy) = pick.policy() else { return pick };
        let Some(reason) = self.unavailable(&pick.version.destination, policy) else { return pick };
        let others: Vec<(&'t Target, &'t Version)> = pick.others(forwarding).collect();
        let candidates = others.iter().map(|other| (self.availability(&other.1.destination, policy), other));
        let best = match candidates.min_by_key(|(availability, _)| *availability) {
            Some((Availability::Available, available)) => Some(available),
            Some(_) | None if reason == FallbackReason::Ejected => None,
            Some((Availability::Ejected, ejected)) => Some(ejected),
            Some((Availability::Unavailable, _)) => others.last(),
            None => None,
        };
        let Some((target, version)) = best.copied() else { return pick };
        let tried =
            others.iter().map(|(_, other)| &*other.destination).take_while(|other| **other != *version.destination);
        // The fallback is from the version that the client asked for.
        let picked = pick.fallback.is_some().then_some(&*pick.version.destination);
        let skipped = picked.into_iter().chain(tried).filter_map(|other| {
            let reason = self.unavailable(other, policy)?;
            Some(Skipped { version: Cow::Borrowed(other.subset.as_deref()?), reason })
        });
        let skipped = skipped.take(MAX_SKIPPED).collect();
        let from = pick.version.destination.subset.as_deref().map(Cow::Borrowed);
        let fallback = match pick.fallback {
            Some(asked) => Fallback { skipped, ..*asked },
            None => Fallback { from, reason, skipped },
        };
        Pick { target, version, fallback: Some(Box::new(fallback)), ..pick }
    }

    fn availability(&self, destination: &Destination, policy: &HostPolicy) -> Availability {
        match self.unavailable(destination, policy) {
            None => Availability::Available,
            Some(FallbackReason::Ejected) => Availability::Ejected,
            Some(_) => Availability::Unavailable,
        }
    }

    /// Why a version cannot serve this request. Without failure accrual a policy ejects no version. A version on trial
    /// serves a share of requests.
    fn unavailable(&self, destination: &Destination, policy: &HostPolicy) -> Option<FallbackReason> {
        let (health, cluster) = (self.input.health, destination.cluster(self.port));
        let reason = health.unavailable(&cluster)?;
        let is_served = reason == FallbackReason::Ejected
            && policy.accrual.as_ref().is_none_or(|accrual| {
                self.input.chance.draw(Draw::Trial).is_within(accrual.trial.percentage) && health.may_try(&cluster)
            });
        (!is_served).then_some(reason)
    }
}
