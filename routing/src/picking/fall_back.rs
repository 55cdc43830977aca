//! Which version serves where the picked one cannot.

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

/// What is to be expected of a version that may serve in the place of another, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Prospect {
    /// Nothing says that it cannot serve.
    Able,
    /// It serves where nothing else can.
    Ejected,
    /// It cannot serve.
    Out,
}

impl<'t> Resolver<'t, '_> {
    /// The pick itself if it can serve, else the first with the best prospects of its policy's order; where none can serve,
    /// the first of them that is merely ejected, else the default. Without a policy nothing is asked.
    pub(super) fn fall_back(&self, forwarding: &'t Forwarding, pick: Pick<'t>) -> Pick<'t> {
        let Some(policy) = pick.policy() else { return pick };
        let Some(reason) = self.unavailable(&pick.version.destination, policy) else { return pick };
        let others: Vec<(&'t Target, &'t Version)> = pick.others(forwarding).collect();
        let prospects = others.iter().map(|other| (self.prospect(&other.1.destination, policy), other));
        let best = match prospects.min_by_key(|(prospect, _)| *prospect) {
            Some((Prospect::Able, able)) => Some(able),
            Some(_) | None if reason == FallbackReason::Ejected => None,
            Some((Prospect::Ejected, ejected)) => Some(ejected),
            Some((Prospect::Out, _)) => others.last(),
            None => None,
        };
        let Some((target, version)) = best.copied() else { return pick };
        let tried =
            others.iter().map(|(_, other)| &*other.destination).take_while(|other| **other != *version.destination);
        // What the client asked for stays the version that the fallback is from.
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

    fn prospect(&self, destination: &Destination, policy: &HostPolicy) -> Prospect {
        match self.unavailable(destination, policy) {
            None => Prospect::Able,
            Some(FallbackReason::Ejected) => Prospect::Ejected,
            Some(_) => Prospect::Out,
        }
    }

    /// Why a version cannot serve this request. A policy without failure accrual ejects nothing; a version on trial serves
    /// its share.
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
