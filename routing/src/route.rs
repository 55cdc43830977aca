//! A rule, compiled: which conditions it has and what it does.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use canary_config::{DirectResponse, Fault, Percentage, Pointer, Redirect};

use crate::acting::{CorsRules, HeaderSteps, MatchedPath, PathRewrite};
use crate::context::RequestContext;
use crate::destination::Destination;
use crate::picking::{Alternative, HostPolicy, Ring, Split, Target, Version};

/// A rule under one entry of its `match`, as Envoy would have it as one route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The rule's name, joined by the match's name (`rule.match`, `root-delegate`); empty where neither has one.
    pub name: Arc<str>,
    /// JSON pointer of the rule in the document.
    pub rule: Pointer,
    pub(crate) port: Option<u16>,
    /// Its conditions among those of its rules.
    pub(crate) conditions: Range<usize>,
    pub(crate) matched_path: MatchedPath,
    pub(crate) action: Arc<Action>,
}

impl PartialEq for Route {
    /// Routes of one table are told apart by their place in the document and their conditions.
    fn eq(&self, other: &Self) -> bool {
        (&self.rule, &self.name, &self.conditions) == (&other.rule, &other.name, &other.conditions)
    }
}

impl Eq for Route {}

/// What a rule does; shared by the routes of its matches, and by rules that do the same.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) fault: Fault,
    pub(crate) kind: Kind,
    /// Changes of the headers of local replies.
    pub(crate) reply_headers: HeaderSteps,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Forward(Box<Forwarding>),
    Redirect(Box<Redirect>),
    DirectResponse(Box<DirectResponse>),
}

/// How a rule forwards.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The destinations that the rule names, in its order.
    pub(crate) targets: Box<[Target]>,
    /// The shares of a draw.
    pub(crate) split: Split,
    /// The shares of users, and of a weight that moves.
    pub(crate) ring: Option<Ring>,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) mirrors: Box<[MirrorTarget]>,
    pub(crate) cors: Option<Box<CorsRules>>,
}

/// A target of copies.
#[derive(Debug)]
pub(crate) struct MirrorTarget {
    pub(crate) destination: Destination,
    pub(crate) percentage: Percentage,
}

impl Route {
    /// Whether the route counts on a port.
    pub(crate) fn applies_to(&self, port: u16) -> bool {
        self.port.is_none_or(|wanted| wanted == port)
    }

    /// The port that the route is limited to.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl Action {
    /// The policies of the hosts that the rule sends to.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<HostPolicy>> {
        let targets = match &self.kind {
            Kind::Forward(forwarding) => &*forwarding.targets,
            Kind::Redirect(_) | Kind::DirectResponse(_) => &[],
        };
        targets.iter().filter_map(|target| target.policy.as_ref())
    }

    /// Every fault that may affect a request of the rule.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.fault).chain(self.policies().flat_map(|policy| &policy.faults))
    }
}

impl Forwarding {
    /// The weights of the targets where the clock moves one.
    pub(crate) fn ramped_weights(&self, context: &dyn RequestContext) -> Option<Vec<u64>> {
        self.ring.as_ref()?.ramped_weights(&self.targets, || context.now())
    }

    /// The shares of a draw where the clock moves a weight, or not.
    pub(crate) fn split_by(&self, ramped_weights: Option<&[u64]>) -> Cow<'_, Split> {
        ramped_weights.map_or(Cow::Borrowed(&self.split), |weights| Cow::Owned(Split::new(weights.iter().copied())))
    }

    /// The target whose policy and port count for a version that is picked in the place of a target, and the version.
    pub(crate) fn alternative<'t>(&'t self, target: &'t Target, place: usize) -> Option<(&'t Target, &'t Version)> {
        match target.versions.get(place)? {
            Alternative::Target(other) => self.targets.get(*other).map(|other| (other, &other.own)),
            Alternative::Bare(version) => Some((target, version)),
        }
    }

    /// The same by the version's name.
    pub(crate) fn find<'t>(&'t self, target: &'t Target, subset: &str) -> Option<(&'t Target, &'t Version)> {
        let all = (0..target.versions.len()).filter_map(|place| self.alternative(target, place));
        all.into_iter().find(|(_, version)| version.destination.subset.as_deref() == Some(subset))
    }

    /// The default of a target's policy: the last of its order.
    pub(crate) fn default_of<'t>(&'t self, target: &'t Target) -> Option<(&'t Target, &'t Version)> {
        self.alternative(target, *target.order.last()?)
    }
}
