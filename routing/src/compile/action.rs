//! What a rule does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use canary_config::{
    Destination as ConfigDestination, HeaderOperations, Headers, HttpRoute, MAX_MIRRORS, PathRewrite as ConfigRewrite,
    ResolvedRule, Retries, StringMatch, host,
};

use super::Compiler;
use super::policy::Policies;
use crate::acting::{CorsRules, Format, FormatPart, HeaderPolicy, HeaderSteps, Operation, PathRewrite, Step};
use crate::destination::{ClusterNames, Destination};
use crate::matching::Test;
use crate::picking::{Alternative, Ring, Split, Target, Version};
use crate::regex::{RegexSet, Rewriter, Strategy};
use crate::route::{Action, Forwarding, Kind, Limits, MirrorTarget, RetryPolicy};
use crate::table::DEFAULT_PORT;

/// The actions compiled last, each with its rule. Rules that do the same share one: many rules send to few versions.
#[derive(Default)]
pub(super) struct Recent<'c>(VecDeque<(&'c HttpRoute, &'c str, Arc<Action>)>);

/// How many actions are kept; a rule is compared with each.
const RECENT_ACTIONS: usize = 16;
/// So many ports of a service have the names of their clusters made at load time.
const MAX_NAMED_PORTS: usize = 16;

impl Compiler<'_> {
    /// What a rule does.
    pub(super) fn action<'c>(
        &mut self,
        resolved: &'c ResolvedRule<'c>,
        policies: &Policies,
        recent: &mut Recent<'c>,
    ) -> Arc<Action> {
        let (rule, namespace) = (&*resolved.rule, resolved.namespace);
        let known = recent.0.iter().find(|(other, of, _)| *of == namespace && act_alike(rule, other));
        if let Some((_, _, action)) = known {
            return Arc::clone(action);
        }
        let action = Arc::new(self.compile_action(rule, namespace, policies));
        if recent.0.len() >= RECENT_ACTIONS {
            recent.0.pop_front();
        }
        recent.0.push_back((rule, namespace, Arc::clone(&action)));
        action
    }

    fn compile_action(&mut self, rule: &HttpRoute, namespace: &str, policies: &Policies) -> Action {
        let response = rule.headers.as_ref().map(|headers| &headers.response);
        let kind = match (&rule.redirect, &rule.direct_response) {
            (Some(redirect), _) => Kind::Redirect(redirect.clone()),
            (None, Some(response)) => Kind::DirectResponse(response.clone()),
            (None, None) => Kind::Forward(Box::new(self.forwarding(rule, namespace, policies))),
        };
        Action {
            fault: rule.fault.as_deref().cloned().unwrap_or_default(),
            kind,
            reply_headers: HeaderSteps::new(self.steps(response.as_slice())),
        }
    }

    fn forwarding(&mut self, rule: &HttpRoute, namespace: &str, policies: &Policies) -> Forwarding {
        let owns: Vec<Version> = rule
            .route
            .iter()
            .map(|target| {
                let destination = self.destination(&target.destination, namespace);
                let headers = Arc::new(self.header_policy(rule, target.headers.as_deref()));
                let fault = policies.fault(&destination.host, destination.subset.as_deref());
                Version { destination, headers, fault }
            })
            .collect();
        let for_all = Arc::new(self.header_policy(rule, None));
        let places: Vec<_> = owns.iter().map(|own| self.versions(own, &owns, &for_all, policies)).collect();
        let weights = rule.route.iter().map(|target| target.weight);
        let targets: Box<[Target]> = owns
            .into_iter()
            .zip(weights)
            .zip(places)
            .map(|((own, weight), (versions, order))| Target {
                policy: policies.get(&own.destination.host).cloned(),
                own,
                weight,
                versions,
                order,
            })
            .collect();
        let mirrors = rule.mirrors.iter().flatten().take(MAX_MIRRORS).map(|mirror| MirrorTarget {
            destination: self.destination(&mirror.destination, namespace),
            percentage: mirror.percentage,
        });
        let mirrors = mirrors.collect();
        let retries = rule.retries.as_deref().filter(|retries| retries.attempts > 0);
        Forwarding {
            split: Split::new(targets.iter().map(|target| target.weight.into())),
            ring: Ring::compile(&targets),
            targets,
            path: rule.rewrite.as_ref().and_then(|rewrite| Some(self.path_rewrite(rewrite.path.as_ref()?))),
            limits: self.limits(rule.timeout, retries),
            mirrors,
            cors: rule.cors_policy.as_deref().map(|policy| Box::new(self.cors(policy))),
        }
    }

    /// The versions that may be picked in the place of a target, and the fallback order among them.
    fn versions(
        &mut self,
        own: &Version,
        owns: &[Version],
        for_all: &Arc<HeaderPolicy>,
        policies: &Policies,
    ) -> (Box<[Alternative]>, Box<[usize]>) {
        let destination = &own.destination;
        let Some(policy) = policies.get(&destination.host) else { return Default::default() };
        let (mut versions, mut names) = (Vec::new(), Vec::new());
        for (place, other) in owns.iter().enumerate().filter(|(_, other)| other.destination.host == destination.host) {
            // Of two targets with one version the first counts.
            if let Some(subset) = &other.destination.subset
                && !names.contains(subset)
            {
                versions.push(Alternative::Target(place));
                names.push(Arc::clone(subset));
            }
        }
        for subset in &policy.versions {
            if !names.contains(subset) {
                let (headers, fault) = (Arc::clone(for_all), policies.fault(&destination.host, Some(subset)));
                let bare = self.located(&destination.host, Some(subset), destination.port);
                versions.push(Alternative::Bare(Version { destination: bare, headers, fault }));
                names.push(Arc::clone(subset));
            }
        }
        let order = policy.order.iter().filter_map(|subset| names.iter().position(|name| name == subset));
        (versions.into(), order.collect())
    }

    /// With one destination Envoy has one list of operations, the rule's before the destination's; in a split the
    /// destination's list is carried out before the rule's.
    fn header_policy(&mut self, rule: &HttpRoute, own: Option<&Headers>) -> HeaderPolicy {
        let of_rule = rule.headers.as_deref();
        let (request, response) = if rule.route.len() == 1 {
            let levels: Vec<&Headers> = [of_rule, own].into_iter().flatten().collect();
            let request: Vec<_> = levels.iter().map(|headers| &headers.request).collect();
            let response: Vec<_> = levels.iter().map(|headers| &headers.response).collect();
            (self.steps(&request), self.steps(&response))
        } else {
            let (mut request, mut response) = (Vec::new(), Vec::new());
            for headers in [own, of_rule].into_iter().flatten() {
                request.append(&mut self.steps(&[&headers.request]));
                response.append(&mut self.steps(&[&headers.response]));
            }
            (request, response)
        };
        let rewritten = rule.rewrite.as_ref().and_then(|rewrite| rewrite.authority.as_deref());
        let authority_of = |headers: Option<&'_ Headers>| Some(headers?.authority.as_ref()?.value.clone());
        let authority = rewritten
            .map(str::to_owned)
            .or_else(|| authority_of(of_rule))
            .or_else(|| authority_of(own))
            .filter(|authority| !authority.is_empty());
        HeaderPolicy {
            authority: authority.map(Into::into),
            request: HeaderSteps::new(request),
            response: HeaderSteps::new(response),
        }
    }

    /// The steps of operations that Envoy carries out as one list: all removals, then each part's `set` and `add`.
    fn steps(&mut self, parts: &[&HeaderOperations]) -> Vec<Step> {
        let mut steps = Vec::new();
        for name in parts.iter().flat_map(|part| &part.remove) {
            let value = Format { parts: Box::default() };
            steps.push(Step { name: self.headers.header(name), operation: Operation::Remove, value });
        }
        for part in parts {
            for (operation, values) in [(Operation::Set, &part.set), (Operation::Add, &part.add)] {
                for (name, value) in values {
                    let value = self.format(value);
                    steps.push(Step { name: self.headers.header(name), operation, value });
                }
            }
        }
        steps
    }

    fn format(&mut self, format: &canary_config::format::Format) -> Format {
        use canary_config::format::Part;
        let parts = format.parts().iter().map(|part| match part {
            Part::Text(text) => FormatPart::Text(text.as_bytes().into()),
            Part::Property(property) => FormatPart::Property(*property),
            Part::RouteName => FormatPart::RouteName,
            Part::Header { name, alternative, length } => FormatPart::Header {
                field: self.header_field(name),
                alternative: alternative.as_ref().map(|name| self.header_field(name)),
                length: *length,
            },
        });
        Format { parts: parts.collect() }
    }

    fn destination(&mut self, destination: &ConfigDestination, namespace: &str) -> Destination {
        let host = self.text(&host::qualify(&destination.host, namespace));
        let subset = destination.subset.as_deref().map(|subset| self.text(subset));
        let port = destination.port.or_else(|| self.only_port(&host));
        self.located(&host, subset.as_ref(), port)
    }

    /// The port of a host that `services` lists with one.
    fn only_port(&self, host: &str) -> Option<u16> {
        if let [port] = **self.ports.get(host)? { Some(port) } else { None }
    }

    /// A version of a host on a port; without one on the request's.
    fn located(&mut self, host: &Arc<str>, subset: Option<&Arc<str>>, port: Option<u16>) -> Destination {
        let (config, version) = (self.config, subset.map(AsRef::as_ref));
        let name = |port: u16| config.clusters.name(host, version, port);
        let clusters = match port {
            None if config.clusters.needs_port(host, version) => {
                let ports = self.ports.get(&**host).copied().unwrap_or_default();
                let ports = ports.iter().copied().chain([DEFAULT_PORT]);
                ClusterNames::ByPort {
                    known: ports.take(MAX_NAMED_PORTS).map(|port| (port, name(port).into())).collect(),
                    around_port: config.clusters.around_port(host, version).into(),
                }
            }
            port => ClusterNames::Fixed(name(port.unwrap_or(DEFAULT_PORT)).into()),
        };
        let id = self.destination_id(host, subset);
        Destination { id, host: Arc::clone(host), subset: subset.cloned(), port, clusters }
    }

    fn path_rewrite(&self, rewrite: &ConfigRewrite) -> PathRewrite {
        match rewrite {
            ConfigRewrite::Uri(uri) => PathRewrite::Matched(uri.as_str().into()),
            ConfigRewrite::Regex(substitution) => PathRewrite::Regex(Rewriter::new(substitution, &self.caches)),
        }
    }

    fn limits(&mut self, timeout: Option<Duration>, retries: Option<&Retries>) -> Limits {
        let millis = |duration: Duration| duration.as_millis().to_string();
        let codes = |retries: &Retries| join(retries.status_codes.iter().map(u16::to_string));
        let headers = [
            ("x-envoy-upstream-rq-timeout-ms", timeout.map(millis)),
            ("x-envoy-max-retries", retries.map(|retries| retries.attempts.to_string())),
            ("x-envoy-upstream-rq-per-try-timeout-ms", retries.and_then(|retries| retries.per_try_timeout).map(millis)),
            ("x-envoy-retry-on", retries.map(|retries| join(retries.http_conditions()))),
            ("x-envoy-retry-grpc-on", retries.map(|retries| join(retries.grpc_conditions()))),
            ("x-envoy-retriable-status-codes", retries.map(codes)),
        ];
        let given =
            headers.into_iter().filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)));
        let headers = given.map(|(name, value)| (self.headers.header(name), value.into_bytes().into())).collect();
        Limits { timeout, retries: retries.map(retry_policy), headers }
    }

    fn cors(&mut self, policy: &canary_config::CorsPolicy) -> CorsRules {
        let (mut origins, mut regexes) = (Vec::new(), Vec::new());
        for origin in &policy.allow_origins {
            match origin {
                StringMatch::Exact(text) => origins.push(Test::Exact(text.as_bytes().into())),
                StringMatch::Prefix(text) => origins.push(Test::Prefix(text.as_bytes().into())),
                StringMatch::Present => origins.push(Test::Present),
                StringMatch::Regex(regex) => match Strategy::of(regex) {
                    Strategy::Plain(plain) => origins.push(Test::Plain(plain)),
                    Strategy::Automaton(_) => regexes.push(&**regex),
                },
            }
        }
        let origin_regexes = (!regexes.is_empty()).then(|| RegexSet::new(&regexes, &self.caches));
        let bytes = |list: &Option<String>| list.as_deref().map(|list| list.as_bytes().into());
        CorsRules {
            names: self.cors_names(),
            allows_all: origins.iter().any(|origin| origin.holds(b"*"))
                || origin_regexes.as_ref().is_some_and(|regexes| regexes.is_match(b"*")),
            origins: origins.into(),
            origin_regexes,
            allow_methods: bytes(&policy.allow_methods),
            allow_headers: bytes(&policy.allow_headers),
            expose_headers: bytes(&policy.expose_headers),
            max_age: policy.max_age.map(|seconds| seconds.to_string().into_bytes().into()),
            allow_credentials: policy.allow_credentials,
            ignore_unmatched_preflights: policy.ignore_unmatched_preflights,
        }
    }
}

fn retry_policy(retries: &Retries) -> RetryPolicy {
    RetryPolicy {
        attempts: retries.attempts,
        per_try_timeout: retries.per_try_timeout,
        retry_on: retries.retry_on.join(","),
        status_codes: retries.status_codes.clone(),
    }
}

fn join(list: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut joined = String::new();
    for element in list {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(element.as_ref());
    }
    joined
}

/// Whether two rules of one namespace do the same, whatever they match.
fn act_alike(rule: &HttpRoute, other: &HttpRoute) -> bool {
    let same = |one: &ConfigDestination, other: &ConfigDestination| {
        (&one.host, &one.subset, one.port) == (&other.host, &other.subset, other.port)
    };
    let targets = rule.route.len() == other.route.len()
        && rule.route.iter().zip(&other.route).all(|(one, other)| {
            same(&one.destination, &other.destination) && (one.weight, &one.headers) == (other.weight, &other.headers)
        });
    let mirrors = |rule: &HttpRoute| rule.mirrors.as_deref().unwrap_or_default().to_vec();
    let same_mirrors = || {
        let (one, other) = (mirrors(rule), mirrors(other));
        let alike = |(one, other): (&canary_config::Mirror, &canary_config::Mirror)| {
            same(&one.destination, &other.destination) && one.percentage == other.percentage
        };
        one.len() == other.len() && one.iter().zip(&other).all(alike)
    };
    targets
        && (&rule.redirect, &rule.direct_response, &rule.rewrite, rule.timeout)
            == (&other.redirect, &other.direct_response, &other.rewrite, other.timeout)
        && (&rule.retries, &rule.fault, &rule.cors_policy, &rule.headers)
            == (&other.retries, &other.fault, &other.cors_policy, &other.headers)
        && same_mirrors()
}
