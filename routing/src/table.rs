//! The compiled rules, and the decision.

use std::borrow::Cow;

use crate::answer;
use crate::config::{
    Clusters, Config, ControlHeaders, FaultSettings, HttpMatch, HttpRoute, Mode, Proxy, Redirect, VirtualService,
};
use crate::cors::{self, Verdict};
use crate::decision::{Decision, Forward, LocalReply, Outcome, Reason};
use crate::draws::Draws;
use crate::header_change;
use crate::host;
use crate::host_index::HostIndex;
use crate::path;
use crate::request::RequestView;
use crate::route::{DEFAULT_PORT, Destination, Forwarding, Kind, Route, WeightedDestination};

/// The rules of a document, resolved for one proxy and ready to decide.
#[derive(Debug)]
pub struct RouteTable {
    mode: Mode,
    hosts: HostIndex,
    virtual_hosts: Vec<VirtualHost>,
    headers: ControlHeaders,
    clusters: Clusters,
    faults: FaultSettings,
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
#[derive(Debug)]
struct VirtualHost {
    objects: Vec<Vec<Route>>,
}

/// What chance came to for a request.
#[derive(Debug, Clone, Copy)]
struct Picks {
    destination: usize,
    delay: bool,
    abort: bool,
}

enum Found<'t> {
    UnknownHost,
    NoRule,
    Route(&'t Route, u16),
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
            clusters: config.clusters.clone(),
            faults: config.faults,
        };
        for service in config.services_in_order() {
            let routes = compile_routes(service, config);
            if !routes.is_empty() {
                table.add(service, &routes, &config.proxy);
            }
        }
        if !config.proxy.in_mesh() {
            table.virtual_hosts.iter_mut().for_each(VirtualHost::merge);
        }
        table
    }

    fn add(&mut self, service: &VirtualService, routes: &[Route], proxy: &Proxy) {
        for fqdn in service.qualified_hosts() {
            let index = self.hosts.find_exactly(&fqdn).unwrap_or_else(|| {
                let index = self.virtual_hosts.len();
                self.virtual_hosts.push(VirtualHost { objects: Vec::new() });
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
                virtual_host.objects.push(routes.to_vec());
            }
        }
    }

    /// What is to happen to a request.
    #[must_use]
    pub fn decide<'t>(&'t self, request: &impl RequestView, draws: &Draws) -> Decision<'t> {
        match self.find(request) {
            Found::UnknownHost => Decision::of(None, Outcome::Untouched),
            // In version mode the proxy's own routes answer where no rule matches.
            Found::NoRule if self.mode == Mode::Version => Decision::of(None, Outcome::Untouched),
            Found::NoRule => Decision::of(None, Outcome::LocalReply(LocalReply::NO_RULE)),
            Found::Route(route, port) => {
                let fault = &route.action.fault;
                let picks = Picks {
                    destination: match &route.action.kind {
                        Kind::Forward(forwarding) => forwarding.split.pick(draws.split),
                        Kind::Redirect(_) | Kind::DirectResponse(_) => 0,
                    },
                    delay: fault.delay.is_some_and(|delay| delay.percentage.holds(draws.delay)),
                    abort: fault.abort.is_some_and(|abort| abort.percentage.holds(draws.abort)),
                };
                self.resolve(request, route, port, picks, draws)
            }
        }
    }

    /// Every decision that the split and the faults may lead to for a request, with its share; mirrors as if their draws
    /// were 0.
    #[must_use]
    pub fn chances<'t>(&'t self, request: &impl RequestView) -> Vec<Chance<'t>> {
        let draws = Draws::default();
        let Found::Route(route, port) = self.find(request) else {
            return vec![Chance { share: 1.0, decision: self.decide(request, &draws) }];
        };
        let fault = &route.action.fault;
        let delays = two_ways(fault.delay.map(|delay| delay.percentage.millionths()));
        let aborts = two_ways(fault.abort.map(|abort| abort.percentage.millionths()));
        let splits = match &route.action.kind {
            Kind::Forward(forwarding) => forwarding.split.shares().collect(),
            Kind::Redirect(_) | Kind::DirectResponse(_) => vec![1.0],
        };
        let mut chances: Vec<Chance<'t>> = Vec::new();
        for (delay, delay_share) in delays {
            for (abort, abort_share) in aborts {
                for (destination, split_share) in splits.iter().enumerate() {
                    let share = delay_share * abort_share * split_share;
                    if share > 0.0 {
                        let picks = Picks { destination, delay, abort };
                        add_chance(&mut chances, share, self.resolve(request, route, port, picks, &draws));
                    }
                }
            }
        }
        chances
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

    /// How many virtual hosts the table has.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.virtual_hosts.len()
    }

    /// How many routes the table has, over all hosts.
    #[must_use]
    pub fn route_count(&self) -> usize {
        self.virtual_hosts.iter().flat_map(|host| &host.objects).map(Vec::len).sum()
    }

    fn find(&self, request: &impl RequestView) -> Found<'_> {
        let (host, authority_port) = host::split_port(request.authority());
        let port = request.port().or(authority_port).unwrap_or(DEFAULT_PORT);
        let virtual_host = self.hosts.find(host).and_then(|index| self.virtual_hosts.get(index));
        let Some(routes) = virtual_host.and_then(|host| host.routes(port)) else { return Found::UnknownHost };
        match routes.iter().find(|route| route.applies_to(port) && route.is_match(request)) {
            Some(route) => Found::Route(route, port),
            None => Found::NoRule,
        }
    }

    fn resolve<'t>(
        &'t self,
        request: &impl RequestView,
        route: &'t Route,
        port: u16,
        picks: Picks,
        draws: &Draws,
    ) -> Decision<'t> {
        if self.mode == Mode::Version {
            return Decision::of(Some(route), self.pick_version(route, port, picks));
        }
        let fault = &route.action.fault;
        let delay = fault.delay.filter(|_| picks.delay).map(|delay| delay.fixed_delay.min(self.faults.max_delay));
        let abort = fault.abort.filter(|_| picks.abort).map(|abort| abort.status);
        let outcome = match (&route.action.kind, abort) {
            (kind, Some(status)) => {
                let steps = match kind {
                    Kind::Forward(forwarding) => {
                        forwarding.destinations.get(picks.destination).map(|d| &d.response_headers)
                    }
                    Kind::Redirect(_) | Kind::DirectResponse(_) => None,
                };
                reply(answer::abort(status), steps.unwrap_or(&route.action.reply_headers), request, route)
            }
            (Kind::Redirect(redirect), None) => {
                let location = answer::redirect(redirect, route.matcher.as_ref(), request, port);
                reply(location, &route.action.reply_headers, request, route)
            }
            (Kind::DirectResponse(response), None) => {
                reply(answer::direct_response(response), &route.action.reply_headers, request, route)
            }
            (Kind::Forward(forwarding), None) => match forwarding.destinations.get(picks.destination) {
                Some(target) => self.forward(request, route, forwarding, target, port, draws),
                None => Outcome::LocalReply(LocalReply::NO_RULE),
            },
        };
        Decision { route: Some(route), delay, abort, outcome }
    }

    fn forward<'t>(
        &'t self,
        request: &impl RequestView,
        route: &'t Route,
        forwarding: &'t Forwarding,
        target: &'t WeightedDestination,
        port: u16,
        draws: &Draws,
    ) -> Outcome<'t> {
        let mut response_headers = header_change::changes(&target.response_headers, request, &route.name);
        match forwarding.cors.as_ref().map_or(Verdict::None, |policy| cors::check(policy, request)) {
            Verdict::Reply(reply) => return Outcome::LocalReply(reply),
            Verdict::Allow(headers) => header_change::set_on_top(&mut response_headers, headers),
            Verdict::None => {}
        }
        let mirrors =
            forwarding.mirrors.iter().zip(draws.mirror).filter(|(mirror, draw)| mirror.percentage.holds(*draw));
        Outcome::Forward(Box::new(Forward {
            reason: reason(forwarding),
            destination: &target.destination,
            port: target.destination.port.unwrap_or(port),
            cluster: self.cluster(&target.destination, port),
            path: forwarding
                .path
                .as_ref()
                .map(|rewrite| path::rewrite(request.path(), route.matcher.as_ref(), rewrite)),
            authority: target.authority.as_deref(),
            request_headers: header_change::changes(&target.request_headers, request, &route.name),
            response_headers,
            timeout: forwarding.timeout,
            retries: forwarding.retries.as_ref(),
            mirrors: mirrors.map(|(mirror, _)| self.cluster(&mirror.destination, port)).collect(),
        }))
    }

    /// Version mode: the version and nothing else; where the rule forwards to none, the proxy's own routes serve.
    fn pick_version<'t>(&'t self, route: &'t Route, port: u16, picks: Picks) -> Outcome<'t> {
        let Kind::Forward(forwarding) = &route.action.kind else { return Outcome::Untouched };
        let Some(target) = forwarding.destinations.get(picks.destination) else { return Outcome::Untouched };
        Outcome::Forward(Box::new(Forward {
            reason: reason(forwarding),
            destination: &target.destination,
            port: target.destination.port.unwrap_or(port),
            cluster: self.cluster(&target.destination, port),
            path: None,
            authority: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            timeout: None,
            retries: None,
            mirrors: Vec::new(),
        }))
    }

    fn cluster<'t>(&'t self, destination: &'t Destination, request_port: u16) -> Cow<'t, str> {
        match &destination.cluster {
            Some(cluster) => Cow::Borrowed(cluster.as_str()),
            None => {
                let port = destination.port.unwrap_or(request_port);
                Cow::Owned(self.clusters.name(&destination.host, destination.subset.as_deref(), port))
            }
        }
    }
}

impl<'t> Decision<'t> {
    fn of(route: Option<&'t Route>, outcome: Outcome<'t>) -> Self {
        Self { route, delay: None, abort: None, outcome }
    }
}

impl VirtualHost {
    /// The rules that count on a port; `None` where every object's rules are for other ports.
    fn routes(&self, port: u16) -> Option<&[Route]> {
        self.objects.iter().find(|routes| routes.iter().any(|route| route.applies_to(port))).map(Vec::as_slice)
    }

    /// Gateways: the rules of all objects in order, catch-all entries last (the older first).
    fn merge(&mut self) {
        let mut routes: Vec<Route> = self.objects.drain(..).flatten().collect();
        routes.sort_by_key(Route::is_catch_all);
        self.objects.push(routes);
    }
}

/// A local reply with the rule's response operations.
fn reply<'t>(
    mut reply: LocalReply<'t>,
    steps: &'t [header_change::Step],
    request: &impl RequestView,
    route: &'t Route,
) -> Outcome<'t> {
    header_change::apply(header_change::changes(steps, request, &route.name), &mut reply.headers);
    Outcome::LocalReply(reply)
}

fn reason(forwarding: &Forwarding) -> Reason {
    if forwarding.destinations.len() == 1 { Reason::Rule } else { Reason::Weight }
}

/// (happens, share) for a fault of so many millionths; without one it never happens.
fn two_ways(millionths: Option<u32>) -> [(bool, f64); 2] {
    let share = f64::from(millionths.unwrap_or(0)) / 1_000_000.0;
    [(true, share), (false, 1.0 - share)]
}

/// Equal decisions are one chance.
fn add_chance<'t>(chances: &mut Vec<Chance<'t>>, share: f64, decision: Decision<'t>) {
    match chances.iter_mut().find(|chance| chance.decision == decision) {
        Some(chance) => chance.share += share,
        None => chances.push(Chance { share, decision }),
    }
}

/// The routes of an object that this proxy's selectors leave, up to the first that takes everything.
fn compile_routes(service: &VirtualService, config: &Config) -> Vec<Route> {
    let mut routes = Vec::new();
    let acts = |rule: &HttpRoute| rule.redirect.as_ref().is_none_or(Redirect::is_carried_out);
    for resolved in config.rules_of(service).into_iter().filter(|resolved| acts(&resolved.rule)) {
        let selected = |matcher: &HttpMatch| is_selected(matcher, &service.metadata.namespace, &config.proxy);
        for route in Route::compile(&resolved.rule, resolved.namespace, config, selected) {
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
