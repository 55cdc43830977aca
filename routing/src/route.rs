//! A rule, compiled: what it matches and what it does.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    Config, CorsPolicy, DirectResponse, Fault, Headers, HttpMatch, HttpRoute, PathRewrite, Percentage, Redirect,
    Retries,
};
use crate::header_change::{self, Step};
use crate::request::RequestView;
use crate::ring::Ring;
use crate::split::Split;
use crate::version::{HostPolicy, Policies};

/// The port of a request whose authority names none.
pub(crate) const DEFAULT_PORT: u16 = 80;

/// A rule under one entry of its `match`, as Envoy would have it as one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The rule's name, joined by the match's name (`rule.match`, `root-delegate`); empty where neither has one.
    pub name: String,
    /// JSON pointer of the rule in the document.
    pub rule: String,
    pub(crate) matcher: Option<Arc<HttpMatch>>,
    pub(crate) action: Arc<Action>,
}

/// What a rule does; shared by the routes of its matches, and by rules that do the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) fault: Fault,
    pub(crate) kind: Kind,
    /// Changes of the headers of local replies.
    pub(crate) reply_headers: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forward(Box<Forwarding>),
    Redirect(Box<Redirect>),
    DirectResponse(Box<DirectResponse>),
}

/// How a rule forwards.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forwarding {
    pub(crate) destinations: Vec<WeightedDestination>,
    /// What the rule does for versions that are none of its destinations.
    pub(crate) treatment: Treatment,
    /// The shares of a draw.
    pub(crate) split: Split,
    /// The shares of users, and of a weight that moves.
    pub(crate) ring: Option<Ring>,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<Box<Retries>>,
    pub(crate) mirrors: Vec<MirrorTarget>,
    pub(crate) cors: Option<Box<CorsPolicy>>,
}

/// A destination with what the rule does for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WeightedDestination {
    pub(crate) destination: Destination,
    pub(crate) treatment: Treatment,
    /// The policy of its host.
    pub(crate) policy: Option<Arc<HostPolicy>>,
}

/// What a rule does to the requests of a destination and their responses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Treatment {
    pub(crate) authority: Option<String>,
    pub(crate) request_headers: Vec<Step>,
    pub(crate) response_headers: Vec<Step>,
}

/// A target of copies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MirrorTarget {
    pub(crate) destination: Destination,
    pub(crate) percentage: Percentage,
}

/// Where a rule sends requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host's full name.
    pub host: String,
    /// The version; `None` is the service as a whole.
    pub subset: Option<String>,
    /// The port; `None` is the request's.
    pub port: Option<u16>,
    /// Its weight in the rule.
    pub weight: u32,
    /// The cluster, where its name does not depend on the request's port.
    pub(crate) cluster: Option<String>,
}

impl Route {
    /// The routes of a rule whose entries `selected` holds for; a rule without matches is one route.
    pub(crate) fn compile<'m>(
        rule: &'m HttpRoute,
        namespace: &str,
        config: &Config,
        policies: &Policies,
        actions: &mut RecentActions,
        selected: impl Fn(&HttpMatch) -> bool,
    ) -> Vec<Self> {
        let action = actions.share(Action::compile(rule, namespace, config, policies));
        let route = |matcher: Option<&'m Arc<HttpMatch>>| Self {
            name: route_name(rule, matcher.map(Arc::as_ref)),
            rule: rule.at.clone(),
            matcher: matcher.cloned(),
            action: Arc::clone(&action),
        };
        if rule.matches.is_empty() {
            return vec![route(None)];
        }
        rule.matches.iter().filter(|matcher| selected(matcher)).map(|matcher| route(Some(matcher))).collect()
    }

    /// Whether the route counts on a port.
    pub(crate) fn applies_to(&self, port: u16) -> bool {
        self.port().is_none_or(|wanted| wanted == port)
    }

    /// The port that the route is limited to.
    pub(crate) fn port(&self) -> Option<u16> {
        self.matcher.as_ref().and_then(|matcher| matcher.port)
    }

    pub(crate) fn is_match(&self, request: &impl RequestView) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.is_match(request))
    }

    pub(crate) fn is_catch_all(&self) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.is_catch_all())
    }
}

/// The actions compiled last. Equal ones are shared: many rules send to few versions.
#[derive(Debug, Default)]
pub(crate) struct RecentActions(VecDeque<Arc<Action>>);

/// How many actions are kept; a rule is compared with each.
const RECENT_ACTIONS: usize = 16;

impl RecentActions {
    fn share(&mut self, action: Action) -> Arc<Action> {
        if let Some(known) = self.0.iter().find(|known| ***known == action) {
            return Arc::clone(known);
        }
        if self.0.len() >= RECENT_ACTIONS {
            self.0.pop_front();
        }
        let action = Arc::new(action);
        self.0.push_back(Arc::clone(&action));
        action
    }
}

impl Action {
    fn compile(rule: &HttpRoute, namespace: &str, config: &Config, policies: &Policies) -> Self {
        let response = rule.headers.as_ref().map(|headers| &headers.response);
        let kind = match (&rule.redirect, &rule.direct_response) {
            (Some(redirect), _) => Kind::Redirect(redirect.clone()),
            (None, Some(response)) => Kind::DirectResponse(response.clone()),
            (None, None) => Kind::Forward(Box::new(Forwarding::compile(rule, namespace, config, policies))),
        };
        Self {
            fault: rule.fault.as_deref().cloned().unwrap_or_default(),
            kind,
            reply_headers: header_change::steps(response.as_slice()),
        }
    }

    /// The policies of the hosts that the rule sends to.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<HostPolicy>> {
        let destinations = match &self.kind {
            Kind::Forward(forwarding) => forwarding.destinations.as_slice(),
            Kind::Redirect(_) | Kind::DirectResponse(_) => &[],
        };
        destinations.iter().filter_map(|target| target.policy.as_ref())
    }

    /// Every fault that may hit a request of the rule.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.fault).chain(self.policies().flat_map(|policy| policy.faults()))
    }
}

impl Forwarding {
    /// The weights of the destinations where the clock moves one.
    pub(crate) fn ramped_weights(&self, request: &impl RequestView) -> Option<Vec<u64>> {
        self.ring.as_ref()?.ramped_weights(&self.destinations, || request.now())
    }

    /// The shares of a draw where the clock moves a weight, or not.
    pub(crate) fn split_by(&self, ramped_weights: Option<&[u64]>) -> Cow<'_, Split> {
        ramped_weights.map_or(Cow::Borrowed(&self.split), |weights| Cow::Owned(Split::new(weights.iter().copied())))
    }

    fn compile(rule: &HttpRoute, namespace: &str, config: &Config, policies: &Policies) -> Self {
        let mirrors = rule.mirrors.iter().flatten().map(|mirror| MirrorTarget {
            destination: Destination::compile(&mirror.destination, 0, namespace, config),
            percentage: mirror.percentage,
        });
        let destinations = rule.route.iter().map(|target| {
            let destination = Destination::compile(&target.destination, target.weight, namespace, config);
            WeightedDestination {
                policy: policies.get(&destination.host).cloned(),
                treatment: Treatment::compile(rule, target.headers.as_deref()),
                destination,
            }
        });
        let destinations: Vec<WeightedDestination> = destinations.collect();
        Self {
            treatment: Treatment::compile(rule, None),
            split: Split::new(destinations.iter().map(|target| target.destination.weight.into())),
            ring: Ring::compile(&destinations),
            destinations,
            path: rule.rewrite.as_ref().and_then(|rewrite| rewrite.path.clone()),
            timeout: rule.timeout,
            retries: rule.retries.clone().filter(|retries| retries.attempts > 0),
            mirrors: mirrors.collect(),
            cors: rule.cors_policy.clone(),
        }
    }
}

impl WeightedDestination {
    /// Whether this is a version of a host, given by its full name.
    pub(crate) fn is(&self, host: &str, subset: &str) -> bool {
        self.destination.host == host && self.destination.subset.as_deref() == Some(subset)
    }
}

impl Treatment {
    /// With one destination Envoy has one list of operations, the rule's before the destination's; in a split the
    /// destination's list is carried out before the rule's.
    fn compile(rule: &HttpRoute, own: Option<&Headers>) -> Self {
        let of_rule = rule.headers.as_deref();
        let (request_headers, response_headers) = if rule.route.len() == 1 {
            let levels: Vec<&Headers> = [of_rule, own].into_iter().flatten().collect();
            let request: Vec<_> = levels.iter().map(|headers| &headers.request).collect();
            let response: Vec<_> = levels.iter().map(|headers| &headers.response).collect();
            (header_change::steps(&request), header_change::steps(&response))
        } else {
            let (mut request, mut response) = (Vec::new(), Vec::new());
            for headers in [own, of_rule].into_iter().flatten() {
                request.append(&mut header_change::steps(&[&headers.request]));
                response.append(&mut header_change::steps(&[&headers.response]));
            }
            (request, response)
        };
        let rewritten = rule.rewrite.as_ref().and_then(|rewrite| rewrite.authority.clone());
        let authority_of = |headers: Option<&Headers>| Some(headers?.authority.as_ref()?.value.clone());
        Self {
            authority: rewritten
                .or_else(|| authority_of(of_rule))
                .or_else(|| authority_of(own))
                .filter(|authority| !authority.is_empty()),
            request_headers,
            response_headers,
        }
    }
}

impl Destination {
    pub(crate) fn compile(
        destination: &crate::config::Destination,
        weight: u32,
        namespace: &str,
        config: &Config,
    ) -> Self {
        let key = config.destination_key(destination, namespace);
        let fixed_port = match key.port {
            None if config.clusters.needs_port(&key.host, key.subset.as_deref()) => None,
            port => Some(port.unwrap_or(DEFAULT_PORT)),
        };
        let cluster = fixed_port.map(|port| config.clusters.name(&key.host, key.subset.as_deref(), port));
        Self { host: key.host, subset: key.subset, port: key.port, weight, cluster }
    }
}

fn route_name(rule: &HttpRoute, matcher: Option<&HttpMatch>) -> String {
    match matcher.and_then(|matcher| matcher.name.as_deref()).filter(|name| !name.is_empty()) {
        Some(matched) => format!("{}.{matched}", rule.name),
        None => rule.name.clone(),
    }
}
