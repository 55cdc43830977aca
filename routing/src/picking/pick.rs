//! Picks a version for a rule that forwards. In order of precedence: a freeze, a trusted client, the version header,
//! the split.

use std::borrow::Cow;

use canary_config::FailureAccrual;

use std::sync::Arc;

use super::host_policy::{HostPolicy, RequestedVersion, cut_name};
use super::resolver::Resolver;
use super::sticky::NewUser;
use super::target::{Target, Version};
use crate::decision::{Fallback, Picked, Reason, SplitPick, User};
use crate::draws::Draw;
use crate::health::FallbackReason;
use crate::overrides::Permission;
use crate::route::Forwarding;

/// A picked version.
pub(super) struct Pick<'t> {
    /// The target of the rule. Its policy and port apply.
    pub(super) target: &'t Target,
    pub(super) version: &'t Version,
    pub(super) reason: Reason,
    pub(super) split: Option<Box<SplitPick<'t>>>,
    pub(super) fallback: Option<Box<Fallback<'t>>>,
    /// The value of `Set-Cookie` for a new user.
    pub(super) cookie: Option<String>,
}

impl<'t> Resolver<'t, '_> {
    pub(super) fn pick(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        frozen(forwarding)
            .or_else(|| self.forced(forwarding))
            .or_else(|| self.named(forwarding))
            .or_else(|| self.split(forwarding))
    }

    /// The version that a trusted client forces, from the first host that has it. If none has it, the default.
    fn forced(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        let is_granted = self.permissions.version == Permission::Granted;
        let header = self.table.steering().version.as_ref().filter(|_| is_granted)?;
        let mut values = self.input.head.values(header.slot());
        let (first, more) = (values.next()?, values.next());
        let wanted = std::str::from_utf8(first).ok().filter(|_| more.is_none());
        let found = |version| Some(Pick::of(version, Reason::Override));
        let known = wanted
            .and_then(|wanted| with_policy(forwarding).find_map(|(target, _)| found(forwarding.find(target, wanted)?)));
        known.or_else(|| {
            let default = with_policy(forwarding).find_map(|(target, _)| found(forwarding.default_of(target)?));
            Some(Pick { fallback: Some(unknown(first)), ..default? })
        })
    }

    /// The version that the client names, if the version header belongs to the host of a target.
    fn named(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        with_policy(forwarding).find_map(|(target, policy)| {
            let (version, fallback) = match policy.requested_version(self.input.head)? {
                RequestedVersion::Nothing => return None,
                RequestedVersion::Known(subset) => (forwarding.find(target, subset)?, None),
                RequestedVersion::Unknown(asked) => (forwarding.default_of(target)?, Some(unknown(asked))),
            };
            Some(Pick { fallback, ..Pick::of(version, Reason::VersionHeader) })
        })
    }

    /// The rule's only target, or one by weight. In a sticky split the user decides, and otherwise the draw.
    fn split(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        let own = |target: &'t Target| (target, &target.own);
        if let [only] = &*forwarding.targets {
            return Some(Pick::of(own(only), Reason::Rule));
        }
        let ring = forwarding.ring.as_ref();
        let ramped = forwarding.ramped_weights(self.input.context);
        let (user, cookie) = ring.and_then(|ring| self.user(&ring.policy)).unzip();
        let index = match (ring, user.and_then(|user| user.bucket)) {
            (Some(ring), Some(bucket)) => ring.pick(ramped.as_deref(), bucket)?,
            _ => forwarding.split_by(ramped.as_deref()).pick(self.input.chance.draw(Draw::Split)),
        };
        let reason = match (&ramped, user) {
            (Some(_), _) => Reason::Ramp,
            (None, Some(_)) => Reason::Sticky,
            (None, None) => Reason::Weight,
        };
        let order = ring.filter(|_| user.is_some()).map(|ring| ring.order());
        let split = Some(Box::new(SplitPick { targets: &forwarding.targets, order, ramped, user }));
        Some(Pick { split, cookie: cookie.flatten(), ..Pick::of(own(forwarding.targets.get(index)?), reason) })
    }

    /// The user by the first key of the request, or a new user with the cookie to set.
    fn user(&self, policy: &'t HostPolicy) -> Option<(User<'t>, Option<String>)> {
        let sticky = policy.sticky.as_ref()?;
        if let Some((key, bucket)) = sticky.user(self.view) {
            return Some((User { key: &key.description, bucket: Some(bucket), is_new: false }, None));
        }
        let new = sticky.new_user.as_ref()?;
        let key = &sticky.keys.get(new.key)?.description;
        let value = self.input.chance.identity().map(NewUser::value);
        let bucket = value.as_ref().map(|value| sticky.bucket(value.as_bytes()));
        let cookie = value.map(|value| new.cookie(&value, self.input.head));
        Some((User { key, bucket, is_new: true }, cookie))
    }
}

/// The rule's targets whose hosts have a policy, each with its policy.
fn with_policy(forwarding: &Forwarding) -> impl Iterator<Item = (&Target, &HostPolicy)> {
    forwarding.targets.iter().filter_map(|target| Some((target, target.policy.as_deref()?)))
}

fn frozen(forwarding: &Forwarding) -> Option<Pick<'_>> {
    let frozen = with_policy(forwarding).filter(|(_, policy)| policy.frozen);
    let mut defaults = frozen.filter_map(|(target, _)| forwarding.default_of(target));
    defaults.next().map(|default| Pick::of(default, Reason::Frozen))
}

fn unknown<'t>(asked: &[u8]) -> Box<Fallback<'t>> {
    let from = Some(Cow::Owned(cut_name(asked)));
    Box::new(Fallback { from, reason: FallbackReason::UnknownVersion, skipped: Vec::new() })
}

impl<'t> Pick<'t> {
    fn of((target, version): (&'t Target, &'t Version), reason: Reason) -> Self {
        Self { target, version, reason, split: None, fallback: None, cookie: None }
    }

    /// The version and the reason.
    pub(super) fn picked(&self) -> Picked<'t> {
        Picked { destination: &self.version.destination, reason: self.reason }
    }

    pub(super) fn policy(&self) -> Option<&'t HostPolicy> {
        self.target.policy.as_deref()
    }

    pub(super) fn accrual(&self) -> Option<&'t Arc<FailureAccrual>> {
        self.policy().and_then(|policy| policy.accrual.as_ref()).filter(|_| self.has_alternative())
    }

    /// The other versions of the fallback order, each with the target whose policy and port apply.
    pub(super) fn others<'f>(
        &self,
        forwarding: &'f Forwarding,
    ) -> impl Iterator<Item = (&'f Target, &'f Version)> + use<'f, 't>
    where
        't: 'f,
    {
        let (target, picked) = (self.target, &self.version.destination.subset);
        let all = target.order.iter().filter_map(move |place| forwarding.alternative(target, *place));
        all.filter(move |(_, version)| version.destination.subset != *picked)
    }

    pub(super) fn has_alternative(&self) -> bool {
        self.policy().is_some_and(|policy| policy.has_other(self.version.destination.subset.as_deref()))
    }
}
