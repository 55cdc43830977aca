//! The compiled rules, and the decision.

use std::borrow::Cow;
use std::sync::Arc;

use crate::availability::{AllAvailable, Availability};
use crate::config::{
    Candidate, Clusters, Config, ControlHeaders, Fault, FaultSettings, FilterState, Guard, HttpMatch, HttpRoute,
    Metrics, Mode, Overrides, Percentage, Proxy, Redirect, VirtualService,
};
use crate::decision::{Decision, FaultScope, LocalReply, Outcome};
use crate::draws::{Draws, Fraction};
use crate::host;
use crate::host_index::HostIndex;
use crate::overrides::Permissions;
use crate::own_headers::OwnHeaders;
use crate::request::RequestView;
use crate::resolve::Resolver;
use crate::route::{DEFAULT_PORT, Destination, Kind, RecentActions, Route};
use crate::rules::Rules;
use crate::version::{Hidden, HostPolicy, Normalised, Policies};

/// The rules of a document, resolved for one proxy and ready to decide.
#[derive(Debug)]
pub struct RouteTable {
    pub(crate) mode: Mode,
    hosts: HostIndex,
    virtual_hosts: Vec<VirtualHost>,
    headers: ControlHeaders,
    own_headers: OwnHeaders,
    pub(crate) clusters: Clusters,
    pub(crate) faults: FaultSettings,
    guard: Guard,
    metrics: Metrics,
    filter_state: FilterState,
    has_fallback: bool,
    has_accrual: bool,
    overrides: Overrides,
    candidate: Option<Box<CandidateTable>>,
}

/// Rules on trial, for a share of requests.
#[derive(Debug)]
struct CandidateTable {
    percentage: Percentage,
    table: RouteTable,
}

/// What a host's rules may lead to: a share of the requests, and their decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance<'t> {
    /// The share, above 0 and at most 1; for people, decisions never use it.
    pub share: f64,
    /// The decision.
    pub decision: Decision<'t>,
}

/// The rules of a host. In a mesh the first object that has any rule for the port takes the host (istiod's order); at a
/// gateway all objects are merged into one.
#[derive(Debug, Default)]
struct VirtualHost {
    /// Shared with the other hosts of the objects.
    objects: Vec<Arc<Rules>>,
    /// The policies with a version header of the hosts that the rules send to.
    policies: Vec<Arc<HostPolicy>>,
}

impl RouteTable {
    /// Resolves the document for `config.proxy` and compiles it.
    #[must_use]
    pub fn compile(config: &Config) -> Self {
        let mut table = Self {
            mode: config.mode,
            hosts: HostIndex::default(),
            virtual_hosts: Vec::new(),
            headers: config.headers.clone(),
            own_headers: OwnHeaders::new(&config.headers, &config.overrides, config.faults.delay),
            clusters: config.clusters.clone(),
            faults: config.faults,
            guard: config.guard,
            metrics: config.metrics,
            filter_state: config.filter_state,
            has_fallback: config.policies.iter().any(|policy| !policy.fallback.is_empty()),
            has_accrual: config
                .policies
                .iter()
                .any(|policy| policy.failure_accrual.is_some() && !policy.fallback.is_empty()),
            overrides: config.overrides.clone(),
            candidate: config
                .candidate
                .as_ref()
                .map(|candidate| CandidateTable::compile(candidate, &config.proxy).into()),
        };
        let (policies, mut actions) = (HostPolicy::compile_all(config), RecentActions::default());
        for service in config.services_in_order() {
            let mut routes = compile_routes(service, config, &policies, &mut actions);
            if !config.proxy.in_mesh() {
                routes = catch_all_last(routes);
            }
            if !routes.is_empty() {
                table.add(service, Rules::new(routes).into(), &config.proxy);
            }
        }
        if !config.proxy.in_mesh() {
            merge_objects(&mut table.virtual_hosts);
        }
        table.virtual_hosts.iter_mut().for_each(VirtualHost::collect_policies);
        table
    }

    fn add(&mut self, service: &VirtualService, rules: Arc<Rules>, proxy: &Proxy) {
        for fqdn in service.qualified_hosts() {
            let index = self.hosts.find_exactly(&fqdn).unwrap_or_else(|| {
                let index = self.virtual_hosts.len();
                self.virtual_hosts.push(VirtualHost::default());
                let names = if proxy.in_mesh() {
                    host::mesh_names(
                        &fqdn,
                        host::namespace(&fqdn).is_none_or(|namespace| proxy.in_namespace(namespace)),
                    )
                } else {
                    vec![fqdn]
                };
                names.into_iter().for_each(|name| self.hosts.insert(name, index));
                index
            });
            if let Some(virtual_host) = self.virtual_hosts.get_mut(index) {
                virtual_host.objects.push(Arc::clone(&rules));
            }
        }
    }

    /// What is to happen to a request where every cluster can serve.
    #[must_use]
    pub fn decide<'t>(&'t self, request: &impl RequestView, draws: &Draws) -> Decision<'t> {
        self.decide_among(request, draws, &AllAvailable)
    }

    /// What is to happen to a request, by what is known of clusters.
    #[must_use]
    pub fn decide_among<'t>(
        &'t self,
        request: &impl RequestView,
        draws: &Draws,
        available: &(impl Availability + ?Sized),
    ) -> Decision<'t> {
        self.decide_within(FaultScope::All, request, draws, available)
    }

    /// The same with these faults only.
    #[must_use]
    pub fn decide_within<'t>(
        &'t self,
        faults: FaultScope,
        request: &impl RequestView,
        draws: &Draws,
        available: &(impl Availability + ?Sized),
    ) -> Decision<'t> {
        let permissions = Permissions::judge(&self.overrides, &self.headers, request);
        Decision { permissions, ..self.decide_with(permissions, faults, request, draws, available) }
    }

    fn decide_with<'t>(
        &'t self,
        permissions: Permissions,
        faults: FaultScope,
        request: &impl RequestView,
        draws: &Draws,
        available: &(impl Availability + ?Sized),
    ) -> Decision<'t> {
        let (host, authority_port) = host::split_port(request.authority());
        let port = request.port().or(authority_port).unwrap_or(DEFAULT_PORT);
        let virtual_host = self.hosts.find(host).and_then(|index| self.virtual_hosts.get(index));
        let found = virtual_host.and_then(|host| Some((host, host.rules(port)?)));
        let Some((virtual_host, rules)) = found else { return Decision::of(None, Outcome::Untouched) };
        let hidden = Hidden { headers: &self.headers, overrides: &self.overrides, permissions };
        let seen = Normalised::new(request, &virtual_host.policies, hidden);
        match rules.first(port, &seen) {
            Some(route) => {
                let resolver = Resolver { table: self, faults, request, seen: &seen, route, port, draws, permissions };
                resolver.resolve(available)
            }
            // In version mode the proxy's own routes answer where no rule matches.
            None if self.mode == Mode::Version => Decision::of(None, Outcome::Untouched),
            None => Decision::of(None, Outcome::LocalReply(LocalReply::NO_RULE)),
        }
    }

    /// Every decision that the split and the faults may lead to for a request where every cluster can serve, with its
    /// share; mirrors as if their draws were 0.
    #[must_use]
    pub fn chances<'t>(&'t self, request: &impl RequestView) -> Vec<Chance<'t>> {
        self.chances_among(request, &AllAvailable)
    }

    /// The same by what is known of clusters.
    #[must_use]
    pub fn chances_among<'t>(
        &'t self,
        request: &impl RequestView,
        available: &(impl Availability + ?Sized),
    ) -> Vec<Chance<'t>> {
        let first = self.decide_among(request, &Draws::default(), available);
        let Some(route) = first.route else { return vec![Chance { share: 1.0, decision: first }] };
        let faults: Vec<&Fault> = route.action.faults().collect();
        let delays = chances_of(faults.iter().filter_map(|fault| Some(fault.delay?.percentage)));
        let aborts = chances_of(faults.iter().filter_map(|fault| Some(fault.abort?.percentage)));
        let splits: Vec<_> = match &route.action.kind {
            Kind::Forward(forwarding) => {
                forwarding.split_by(forwarding.ramped_weights(request).as_deref()).chances().collect()
            }
            Kind::Redirect(_) | Kind::DirectResponse(_) => vec![(Fraction::default(), 1.0)],
        };
        let mut chances: Vec<Chance<'t>> = Vec::new();
        for (delay, delay_share) in &delays {
            for (abort, abort_share) in &aborts {
                for (split, split_share) in &splits {
                    let draws = Draws { split: *split, delay: *delay, abort: *abort, ..Draws::default() };
                    let decision = self.decide_among(request, &draws, available);
                    // A client cannot tell which version an abort has kept its request from.
                    let decision = Decision { aborted: None, ..decision };
                    add_chance(&mut chances, delay_share * abort_share * split_share, decision);
                }
            }
        }
        chances
    }

    /// The candidate's rules, where there is a candidate and the draws let it see this request. What they decide is compared
    /// (see [`differences`](crate::difference::differences)) and never carried out.
    #[must_use]
    pub fn candidate(&self, draws: &Draws) -> Option<&Self> {
        let candidate = self.candidate.as_ref()?;
        candidate.percentage.holds(draws.candidate).then_some(&candidate.table)
    }

    /// The headers that no client may send.
    #[must_use]
    pub fn own_headers(&self) -> &OwnHeaders {
        &self.own_headers
    }

    /// The names of the control headers.
    #[must_use]
    pub fn headers(&self) -> &ControlHeaders {
        &self.headers
    }

    /// Who carries out the rules.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How faults are carried out.
    #[must_use]
    pub fn faults(&self) -> &FaultSettings {
        &self.faults
    }

    /// How the guard judges clusters.
    #[must_use]
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// What access logs and traces are told.
    #[must_use]
    pub fn filter_state(&self) -> FilterState {
        self.filter_state
    }

    /// Whether a policy says which version serves when another cannot.
    #[must_use]
    pub fn has_fallback(&self) -> bool {
        self.has_fallback
    }

    /// Whether a policy says what failures do to a version in whose place another may stand.
    #[must_use]
    pub fn has_accrual(&self) -> bool {
        self.has_accrual
    }

    /// The cluster of a destination for requests of a port.
    pub(crate) fn cluster<'d>(&self, destination: &'d Destination, request_port: u16) -> Cow<'d, str> {
        match &destination.cluster {
            Some(cluster) => Cow::Borrowed(cluster.as_str()),
            None => {
                let port = destination.port.unwrap_or(request_port);
                Cow::Owned(self.clusters.name(&destination.host, destination.subset.as_deref(), port))
            }
        }
    }

    /// How many virtual hosts the table has.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.virtual_hosts.len()
    }

    /// How many routes the table has, over all hosts.
    #[must_use]
    pub fn route_count(&self) -> usize {
        self.virtual_hosts.iter().flat_map(|host| &host.objects).map(|rules| rules.routes().len()).sum()
    }
}

impl<'t> Decision<'t> {
    pub(crate) fn of(route: Option<&'t Route>, outcome: Outcome<'t>) -> Self {
        let permissions = Permissions::default();
        Self { route, delay: None, abort: None, aborted: None, leaves_faults: false, permissions, outcome }
    }
}

impl CandidateTable {
    /// In the same proxy as the live rules, of which more may be known than the document says.
    fn compile(candidate: &Candidate, proxy: &Proxy) -> Self {
        let config = Config { proxy: proxy.clone(), ..candidate.config.clone() };
        Self { percentage: candidate.percentage, table: RouteTable::compile(&config) }
    }
}

impl VirtualHost {
    /// The rules that count on a port; `None` where every object's rules are for other ports.
    fn rules(&self, port: u16) -> Option<&Rules> {
        self.objects.iter().find(|rules| rules.count_on(port)).map(Arc::as_ref)
    }

    fn collect_policies(&mut self) {
        let routes = self.objects.iter().flat_map(|rules| rules.routes());
        for policy in routes.flat_map(|route| route.action.policies()) {
            if policy.has_header() && !self.policies.iter().any(|known| Arc::ptr_eq(known, policy)) {
                self.policies.push(Arc::clone(policy));
            }
        }
    }
}

/// Gateways: each host has one list, the rules of all its objects in order, catch-all entries last (the older first).
/// Neighbours with the same objects share it.
fn merge_objects(virtual_hosts: &mut [VirtualHost]) {
    let mut last: (Vec<Arc<Rules>>, Arc<Rules>) = Default::default();
    for host in virtual_hosts.iter_mut().filter(|host| host.objects.len() > 1) {
        let same = |(own, known): (&Arc<Rules>, &Arc<Rules>)| Arc::ptr_eq(own, known);
        if host.objects.len() != last.0.len() || !host.objects.iter().zip(&last.0).all(same) {
            let routes = host.objects.iter().flat_map(|rules| rules.routes()).cloned().collect();
            last = (std::mem::take(&mut host.objects), Rules::new(catch_all_last(routes)).into());
        }
        host.objects = vec![Arc::clone(&last.1)];
    }
}

fn catch_all_last(routes: Vec<Route>) -> Vec<Route> {
    let (mut last, mut routes): (Vec<_>, Vec<_>) = routes.into_iter().partition(Route::is_catch_all);
    routes.append(&mut last);
    routes
}

/// For each range of draws in which the same of these percentages hold: its first draw, and its share.
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

/// Equal decisions are one chance.
fn add_chance<'t>(chances: &mut Vec<Chance<'t>>, share: f64, decision: Decision<'t>) {
    match chances.iter_mut().find(|chance| chance.decision == decision) {
        Some(chance) => chance.share += share,
        None => chances.push(Chance { share, decision }),
    }
}

/// The routes of an object that this proxy's selectors leave, up to the first that takes everything.
fn compile_routes(
    service: &VirtualService,
    config: &Config,
    policies: &Policies,
    actions: &mut RecentActions,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let acts = |rule: &HttpRoute| rule.redirect.as_deref().is_none_or(Redirect::is_carried_out);
    for resolved in config.rules_of(service).into_iter().filter(|resolved| acts(&resolved.rule)) {
        let selected = |matcher: &HttpMatch| is_selected(matcher, &service.metadata.namespace, &config.proxy);
        for route in Route::compile(&resolved.rule, resolved.namespace, config, policies, actions, selected) {
            let ends = route.is_catch_all() && route.port().is_none();
            routes.push(route);
            if ends {
                return routes;
            }
        }
    }
    routes
}

/// The selectors of an entry that depend on the proxy alone (istiod's `sourceMatchHTTP`).
fn is_selected(matcher: &HttpMatch, namespace: &str, proxy: &Proxy) -> bool {
    if !matcher.gateways.is_empty() {
        return proxy.serves_any(&matcher.gateways, namespace);
    }
    proxy.has_labels(&matcher.source_labels)
        && matcher.source_namespace.as_ref().is_none_or(|namespace| proxy.namespace.as_ref() == Some(namespace))
}
