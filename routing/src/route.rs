//! Compiled rules: conditions and action.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use canary_config::{DirectResponse, Fault, Percentage, Pointer, Redirect};

use crate::acting::{CorsRules, HeaderSteps, MatchedPath, PathRewrite};
use crate::context::RequestContext;
use crate::destination::Destination;
use crate::picking::{Alternative, HostPolicy, Ring, Split, Target, Version};

/// A rule with one entry of its `match`. In Envoy this is one route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The name of the rule and the name of the match, joined as `rule.match` or `root-delegate`. Empty if neither has
    /// a name.
    pub name: Arc<str>,
    /// The JSON pointer of the rule in the configuration.
    pub rule: Pointer,
    pub(crate) port: Option<u16>,
    /// The range of its conditions in its rules.
    pub(crate) conditions: Range<usize>,
    pub(crate) matched_path: MatchedPath,
    pub(crate) action: Arc<Action>,
}

impl PartialEq for Route {
    /// Routes of one table are equal if their position in the configuration and their conditions are.
    fn eq(&self, other: &Self) -> bool {
        (&self.rule, &self.name, &self.conditions) == (&other.rule, &other.name, &other.conditions)
    }
}

impl Eq for Route {}

/// The action of a rule. The routes of its matches share it, and so do rules with the same action.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) fault: Fault,
    pub(crate) kind: ActionKind,
    /// The changes of the headers of local replies.
    pub(crate) reply_headers: HeaderSteps,
}

#[derive(Debug)]
pub(crate) enum ActionKind {
    Forward(Box<Forwarding>),
    Redirect(Box<Redirect>),
    DirectResponse(Box<DirectResponse>),
}

/// The forwarding action.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The destinations of the rule, in its order.
    pub(crate) targets: Box<[Target]>,
    /// The split by a draw.
    pub(crate) split: Split,
    /// The split by users, and the ramp.
    pub(crate) ring: Option<Ring>,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) mirrors: Box<[MirrorTarget]>,
    pub(crate) cors: Option<Box<CorsRules>>,
}

/// A destination of mirrored copies.
#[derive(Debug)]
pub(crate) struct MirrorTarget {
    pub(crate) destination: Destination,
    pub(crate) percentage: Percentage,
}

impl Route {
    /// Whether the route applies to requests on a port.
    pub(crate) fn applies_to(&self, port: u16) -> bool {
        self.port.is_none_or(|wanted| wanted == port)
    }

    /// The only port of the route. `None` for every port.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl Action {
    /// The policies of the hosts of the rule's destinations.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<HostPolicy>> {
        let targets = match &self.kind {
            ActionKind::Forward(forwarding) => &*forwarding.targets,
            ActionKind::Redirect(_) | ActionKind::DirectResponse(_) => &[],
        };
        targets.iter().filter_map(|target| target.policy.as_ref())
    }

    /// Every fault that may affect a request of the rule.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.fault).chain(self.policies().flat_map(|policy| &policy.faults))
    }
}

impl Forwarding {
    /// The weights of the targets, if one of them is on a ramp.
    pub(crate) fn ramped_weights(&self, context: &dyn RequestContext) -> Option<Vec<u64>> {
        self.ring.as_ref()?.ramped_weights(&self.targets, || context.now())
    }

    /// The split by a draw, with ramped weights if there are any.
    pub(crate) fn split_by(&self, ramped_weights: Option<&[u64]>) -> Cow<'_, Split> {
        ramped_weights.map_or(Cow::Borrowed(&self.split), |weights| Cow::Owned(Split::new(weights.iter().copied())))
    }

    /// An alternative version by its index, with the target whose policy and port apply.
    pub(crate) fn alternative<'t>(&'t self, target: &'t Target, place: usize) -> Option<(&'t Target, &'t Version)> {
        match target.versions.get(place)? {
            Alternative::Target(other) => self.targets.get(*other).map(|other| (other, &other.own)),
            Alternative::Bare(version) => Some((target, version)),
        }
    }

    /// An alternative version by its name.
    pub(crate) fn find<'t>(&'t self, target: &'t Target, subset: &str) -> Option<(&'t Target, &'t Version)> {
        let all = (0..target.versions.len()).filter_map(|place| self.alternative(target, place));
        all.into_iter().find(|(_, version)| version.destination.subset.as_deref() == Some(subset))
    }

    /// The default of a target's policy, which is the last version of its order.
    pub(crate) fn default_of<'t>(&'t self, target: &'t Target) -> Option<(&'t Target, &'t Version)> {
        self.alternative(target, *target.order.last()?)
    }
}
