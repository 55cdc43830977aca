//! The compiled rules, and the decision.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Clusters, Config, ControlHeaders, HttpMatch, HttpRoute, Proxy, VirtualService};
use crate::decision::{Decision, Forward, LocalReply, Outcome, Reason};
use crate::draws::Draws;
use crate::host;
use crate::request::RequestView;
use crate::split::Split;

/// The port of a request whose authority names none.
const DEFAULT_PORT: u16 = 80;

/// The rules of a document, resolved for one proxy and ready to decide.
#[derive(Debug)]
pub struct RouteTable {
    hosts: HostIndex,
    virtual_hosts: Vec<VirtualHost>,
    headers: ControlHeaders,
    clusters: Clusters,
}

/// A rule under one entry of its `match`, as Envoy would have it as one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The rule's name, joined by the match's name (`rule.match`); empty where neither has one.
    pub name: String,
    /// JSON pointer of the rule in the document.
    pub rule: String,
    matcher: Option<HttpMatch>,
    action: Arc<Action>,
}

/// What a rule does; shared by the routes of its matches.
#[derive(Debug, PartialEq, Eq)]
struct Action {
    destinations: Vec<Destination>,
    split: Split,
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
    cluster: Option<String>,
}

/// What a host's rules may lead to: a share of the requests, and their decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance<'t> {
    /// Numerator of the share.
    pub weight: u64,
    /// Denominator of the share.
    pub total: u64,
    /// The decision.
    pub decision: Decision<'t>,
}

/// The rules of a host. In a mesh the first object that has any rule for the port takes the host (istiod's order); at a
/// gateway all objects are merged into one.
#[derive(Debug)]
struct VirtualHost {
    objects: Vec<Vec<Route>>,
}

impl RouteTable {
    /// Resolves the document for `config.proxy` and compiles it.
    #[must_use]
    pub fn compile(config: &Config) -> Self {
        let mut table = Self {
            hosts: HostIndex::default(),
            virtual_hosts: Vec::new(),
            headers: config.headers.clone(),
            clusters: config.clusters.clone(),
        };
        let mut services: Vec<_> =
            config.virtual_services.iter().filter(|service| is_visible(service, &config.proxy)).collect();
        services.sort_by_key(|service| {
            let metadata = &service.metadata;
            (&metadata.creation_timestamp, &metadata.name, &metadata.namespace)
        });
        for service in services {
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
        let namespace = &service.metadata.namespace;
        for name in &service.hosts {
            let fqdn = host::qualify(name, namespace);
            let index = self.hosts.find_exactly(&fqdn).unwrap_or_else(|| {
                let index = self.virtual_hosts.len();
                self.virtual_hosts.push(VirtualHost { objects: Vec::new() });
                let names = if proxy.in_mesh() {
                    host::mesh_names(
                        &fqdn,
                        service_namespace(&fqdn).is_none_or(|namespace| proxy.in_namespace(namespace)),
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
            Found::UnknownHost => Decision { route: None, outcome: Outcome::Untouched },
            Found::NoRule => Decision { route: None, outcome: Outcome::LocalReply(LocalReply::NO_RULE) },
            Found::Route(route, port) => {
                let forward =
                    route.action.pick(draws).map(|destination| self.forward(&route.action, destination, port));
                let outcome = forward.map_or(Outcome::LocalReply(LocalReply::NO_RULE), Outcome::Forward);
                Decision { route: Some(route), outcome }
            }
        }
    }

    /// Every decision that chance may lead to for a request, with its share; shares of zero are left out.
    #[must_use]
    pub fn chances<'t>(&'t self, request: &impl RequestView) -> Vec<Chance<'t>> {
        let Found::Route(route, port) = self.find(request) else {
            return vec![Chance { weight: 1, total: 1, decision: self.decide(request, &Draws::default()) }];
        };
        let total = route.action.split.total();
        let lone = route.action.destinations.len() == 1;
        let shares = route.action.destinations.iter().map(|destination| Chance {
            weight: if lone { total } else { destination.weight.into() },
            total,
            decision: Decision {
                route: Some(route),
                outcome: Outcome::Forward(self.forward(&route.action, destination, port)),
            },
        });
        shares.filter(|chance| chance.weight > 0).collect()
    }

    /// The names of the control headers.
    #[must_use]
    pub fn headers(&self) -> &ControlHeaders {
        &self.headers
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

    fn forward<'t>(&'t self, action: &Action, destination: &'t Destination, request_port: u16) -> Forward<'t> {
        let port = destination.port.unwrap_or(request_port);
        let cluster = match &destination.cluster {
            Some(cluster) => Cow::Borrowed(cluster.as_str()),
            None => Cow::Owned(self.clusters.name(&destination.host, destination.subset.as_deref(), port)),
        };
        let reason = if action.destinations.len() == 1 { Reason::Rule } else { Reason::Weight };
        Forward { reason, destination, port, cluster }
    }
}

enum Found<'t> {
    UnknownHost,
    NoRule,
    Route(&'t Route, u16),
}

impl Action {
    fn pick(&self, draws: &Draws) -> Option<&Destination> {
        self.destinations.get(self.split.pick(draws.split))
    }
}

impl Route {
    fn applies_to(&self, port: u16) -> bool {
        self.matcher.as_ref().and_then(|matcher| matcher.port).is_none_or(|wanted| wanted == port)
    }

    fn is_match(&self, request: &impl RequestView) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.is_match(request))
    }

    fn is_catch_all(&self) -> bool {
        self.matcher.as_ref().is_none_or(HttpMatch::is_catch_all)
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

fn is_visible(service: &VirtualService, proxy: &Proxy) -> bool {
    proxy.sees(&service.export_to, &service.metadata.namespace)
        && proxy.serves_any(&service.gateways, &service.metadata.namespace)
}

/// The namespace of a Kubernetes service's full name.
fn service_namespace(fqdn: &str) -> Option<&str> {
    fqdn.split('.').nth(1)
}

/// The routes of an object that this proxy's selectors leave, up to the first that takes everything.
fn compile_routes(service: &VirtualService, config: &Config) -> Vec<Route> {
    let mut routes = Vec::new();
    for rule in &service.http {
        let action = Arc::new(compile_action(rule, service, config));
        let route = |matcher: Option<&HttpMatch>| Route {
            name: route_name(rule, matcher),
            rule: rule.at.clone(),
            matcher: matcher.cloned(),
            action: Arc::clone(&action),
        };
        let selected = rule.matches.iter().filter(|matcher| is_selected(matcher, service, &config.proxy));
        let entries: Vec<_> =
            if rule.matches.is_empty() { vec![route(None)] } else { selected.map(|m| route(Some(m))).collect() };
        for entry in entries {
            let ends = entry.is_catch_all() && entry.matcher.as_ref().is_none_or(|matcher| matcher.port.is_none());
            routes.push(entry);
            if ends {
                return routes;
            }
        }
    }
    routes
}

/// The selectors of an entry that depend on the proxy alone (istiod's `sourceMatchHTTP`).
fn is_selected(matcher: &HttpMatch, service: &VirtualService, proxy: &Proxy) -> bool {
    if !matcher.gateways.is_empty() {
        return proxy.serves_any(&matcher.gateways, &service.metadata.namespace);
    }
    proxy.has_labels(&matcher.source_labels)
        && matcher.source_namespace.as_ref().is_none_or(|namespace| proxy.namespace.as_ref() == Some(namespace))
}

fn compile_action(rule: &HttpRoute, service: &VirtualService, config: &Config) -> Action {
    let destinations = rule.route.iter().map(|destination| {
        let key = config.destination_key(destination, &service.metadata.namespace);
        let fixed_port = match key.port {
            None if config.clusters.needs_port(&key.host, key.subset.as_deref()) => None,
            port => Some(port.unwrap_or(DEFAULT_PORT)),
        };
        let cluster = fixed_port.map(|port| config.clusters.name(&key.host, key.subset.as_deref(), port));
        Destination { host: key.host, subset: key.subset, port: key.port, weight: destination.weight, cluster }
    });
    Action {
        destinations: destinations.collect(),
        split: Split::new(rule.route.iter().map(|destination| destination.weight)),
    }
}

fn route_name(rule: &HttpRoute, matcher: Option<&HttpMatch>) -> String {
    let name = rule.name.clone().unwrap_or_default();
    match matcher.and_then(|matcher| matcher.name.as_deref()).filter(|name| !name.is_empty()) {
        Some(matched) => format!("{name}.{matched}"),
        None => name,
    }
}

/// Host lookup: exact, then the longest suffix wildcard, then `*`. Names are in lower case; lookups need not be.
#[derive(Debug, Default)]
struct HostIndex {
    exact: HashMap<Vec<u8>, usize>,
    /// By the length of the suffix, longest first.
    suffixes: Vec<(usize, HashMap<Vec<u8>, usize>)>,
    any: Option<usize>,
}

impl HostIndex {
    /// The first insertion of a name counts.
    fn insert(&mut self, name: String, index: usize) {
        match name.strip_prefix('*') {
            Some("") => {
                self.any.get_or_insert(index);
            }
            Some(suffix) => {
                let position = self.suffixes.partition_point(|(length, _)| *length > suffix.len());
                if self.suffixes.get(position).is_none_or(|(length, _)| *length != suffix.len()) {
                    self.suffixes.insert(position, (suffix.len(), HashMap::new()));
                }
                if let Some((_, suffixes)) = self.suffixes.get_mut(position) {
                    suffixes.entry(suffix.as_bytes().to_vec()).or_insert(index);
                }
            }
            None => {
                self.exact.entry(name.into_bytes()).or_insert(index);
            }
        }
    }

    /// The index of a name as inserted, wildcards included.
    fn find_exactly(&self, name: &str) -> Option<usize> {
        match name.strip_prefix('*') {
            Some("") => self.any,
            Some(suffix) => self.suffixes.iter().find_map(|(_, suffixes)| suffixes.get(suffix.as_bytes()).copied()),
            None => self.exact.get(name.as_bytes()).copied(),
        }
    }

    fn find(&self, host: &[u8]) -> Option<usize> {
        let host = if host.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        if let Some(index) = self.exact.get(host.as_ref()) {
            return Some(*index);
        }
        let wildcard = self.suffixes.iter().find_map(|(length, suffixes)| {
            let start = host.len().checked_sub(*length).filter(|start| *start > 0)?;
            suffixes.get(host.get(start..)?).copied()
        });
        wildcard.or(self.any)
    }
}
