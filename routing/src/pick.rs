//! What picks a version for a rule that forwards, first to last: a freeze, a trusted client, the version header, the split.

use std::borrow::Cow;
use std::sync::Arc;

use crate::availability::FallbackReason;
use crate::config::{FailureAccrual, IssueCookie, StickyKey};
use crate::decision::{Fallback, Picked, Reason, SplitPick, User};
use crate::header_change::HeaderChange;
use crate::overrides::Permission;
use crate::request::RequestView;
use crate::resolve::{Resolver, version};
use crate::route::{Destination, Forwarding, Treatment, WeightedDestination};
use crate::sticky;
use crate::version::{Asked, HostPolicy, cut_name};

/// A version that was picked.
#[derive(Clone)]
pub(crate) struct Pick<'t> {
    pub(crate) destination: Cow<'t, Destination>,
    pub(crate) treatment: &'t Treatment,
    pub(crate) policy: Option<&'t HostPolicy>,
    pub(crate) reason: Reason,
    pub(crate) split: Option<SplitPick<'t>>,
    pub(crate) fallback: Option<Fallback<'t>>,
    /// The `Set-Cookie` of a new user.
    pub(crate) cookie: Option<String>,
}

impl<'t, R: RequestView> Resolver<'t, '_, R> {
    pub(crate) fn pick(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        let pick = policies(forwarding).find_map(|(target, policy)| frozen(forwarding, target, policy));
        let pick = pick.or_else(|| self.forced(forwarding));
        let pick =
            pick.or_else(|| policies(forwarding).find_map(|(target, policy)| self.named(forwarding, target, policy)));
        pick.or_else(|| self.split(forwarding))
    }

    /// The version that a trusted client forces, of the first host that has it; the default for one that none has.
    fn forced(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        let is_granted = self.permissions.version == Permission::Granted;
        let mut lines = self.request.header(self.table.headers().version().filter(|_| is_granted)?);
        let (first, more) = (lines.next()?, lines.next());
        let wanted = std::str::from_utf8(first).ok().filter(|_| more.is_none());
        let known = wanted.and_then(|wanted| {
            policies(forwarding)
                .find_map(|(target, policy)| Pick::version(forwarding, target, policy, wanted, Reason::Override))
        });
        known.or_else(|| {
            let default = policies(forwarding).find_map(|(target, policy)| {
                Pick::version(forwarding, target, policy, policy.default_subset()?, Reason::Override)
            });
            Some(Pick { fallback: Some(unknown(cut_name(first))), ..default? })
        })
    }

    /// The version that the client names where a destination of the rule has its host.
    fn named(
        &self,
        forwarding: &'t Forwarding,
        target: &'t WeightedDestination,
        policy: &'t HostPolicy,
    ) -> Option<Pick<'t>> {
        let (subset, fallback) = match policy.asked(self.request)? {
            Asked::Nothing => return None,
            Asked::Known(subset) => (subset, None),
            Asked::Unknown(asked) => (policy.default_subset()?, Some(unknown(asked))),
        };
        let pick = Pick::version(forwarding, target, policy, subset, Reason::VersionHeader)?;
        Some(Pick { fallback, ..pick })
    }

    /// The rule's only destination, or one by the weights: the user's if the split is sticky and knows one, else the draw's.
    fn split(&self, forwarding: &'t Forwarding) -> Option<Pick<'t>> {
        if let [only] = forwarding.destinations.as_slice() {
            return Some(Pick::target(only, Reason::Rule));
        }
        let ring = forwarding.ring.as_ref();
        let ramped = forwarding.ramped_weights(self.request);
        let (user, cookie) = ring.and_then(|ring| self.user(&ring.policy)).unzip();
        let index = match (ring, user.and_then(|user| user.bucket)) {
            (Some(ring), Some(bucket)) => ring.pick(ramped.as_deref(), bucket)?,
            _ => forwarding.split_by(ramped.as_deref()).pick(self.draws.split),
        };
        let reason = match (&ramped, user) {
            (Some(_), _) => Reason::Ramp,
            (None, Some(_)) => Reason::Sticky,
            (None, None) => Reason::Weight,
        };
        let order = ring.filter(|_| user.is_some()).map(|ring| ring.order());
        let split = Some(SplitPick { destinations: &forwarding.destinations, order, ramped, user });
        Some(Pick { split, cookie: cookie.flatten(), ..Pick::target(forwarding.destinations.get(index)?, reason) })
    }

    /// The user by the first key that the request has, else a new one, with the cookie to remember.
    fn user(&self, policy: &'t HostPolicy) -> Option<(User<'t>, Option<String>)> {
        let sticky = policy.sticky.as_ref()?;
        if let Some((key, value)) = sticky.key(self.seen) {
            return Some((User { key, bucket: Some(sticky::bucket(&sticky.salt, &value)), is_new: false }, None));
        }
        let cookie = sticky.issue_cookie.as_ref()?;
        let key = sticky.keys.iter().find(|key| matches!(key, StickyKey::Cookie(name) if *name == cookie.name))?;
        let value = self.draws.identity.map(IssueCookie::value);
        let bucket = value.as_ref().map(|value| sticky::bucket(&sticky.salt, value.as_bytes()));
        let header = value.map(|value| cookie.header(&value, self.request));
        Some((User { key, bucket, is_new: true }, header))
    }
}

/// The rule's destinations whose hosts have a policy.
fn policies(forwarding: &Forwarding) -> impl Iterator<Item = (&WeightedDestination, &HostPolicy)> {
    forwarding.destinations.iter().filter_map(|target| Some((target, target.policy.as_deref()?)))
}

fn frozen<'t>(forwarding: &'t Forwarding, target: &'t WeightedDestination, policy: &'t HostPolicy) -> Option<Pick<'t>> {
    let default = policy.default_subset().filter(|_| policy.frozen)?;
    Pick::version(forwarding, target, policy, default, Reason::Frozen)
}

fn unknown<'t>(asked: String) -> Fallback<'t> {
    Fallback { from: Some(Cow::Owned(asked)), reason: FallbackReason::UnknownVersion, skipped: Vec::new() }
}

impl<'t> Pick<'t> {
    /// One of the rule's destinations.
    fn target(target: &'t WeightedDestination, reason: Reason) -> Self {
        Self {
            destination: Cow::Borrowed(&target.destination),
            treatment: &target.treatment,
            policy: target.policy.as_deref(),
            reason,
            split: None,
            fallback: None,
            cookie: None,
        }
    }

    /// A version of a policy's host in the place of one of the rule's destinations.
    fn version(
        forwarding: &'t Forwarding,
        target: &'t WeightedDestination,
        policy: &'t HostPolicy,
        subset: &str,
        reason: Reason,
    ) -> Option<Self> {
        let (destination, treatment) = version(forwarding, target.destination.port, policy, subset)?;
        Some(Self { destination, treatment, ..Self::target(target, reason) })
    }

    /// Which version it is, and why.
    pub(crate) fn picked(&self) -> Picked<'t> {
        Picked { destination: self.destination.clone(), reason: self.reason }
    }

    pub(crate) fn accrual(&self) -> Option<&'t Arc<FailureAccrual>> {
        self.policy.and_then(|policy| policy.accrual.as_ref()).filter(|_| self.has_alternative())
    }

    pub(crate) fn has_alternative(&self) -> bool {
        let picked = self.destination.subset.as_deref();
        self.policy.is_some_and(|policy| policy.fallback.iter().any(|subset| Some(subset.as_str()) != picked))
    }

    /// What makes a new user keep the version.
    pub(crate) fn set_cookie(&self) -> Option<HeaderChange<'t>> {
        let cookie = self.cookie.clone()?;
        Some(HeaderChange::Add("set-cookie", Cow::Owned(cookie.into_bytes())))
    }
}
