//! Compiles the action of a rule.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use canary_config::{
    DEFAULT_RETRY_ON, Destination as ConfigDestination, GRPC_CONDITIONS, HTTP_CONDITIONS, HeaderOperations, Headers,
    HttpRoute, MAX_MIRRORS, MAX_NAMED_PORTS, Mode, PathRewrite as ConfigRewrite, ResolvedRule, Retries, RetryNext,
    StringMatch, host,
};

use super::Compiler;
use super::policy::Policies;
use crate::acting::{CorsRules, Format, FormatPart, HeaderPolicy, HeaderStep, HeaderSteps, Operation, PathRewrite};
use crate::destination::{ClusterName, ClusterNames, Destination};
use crate::limits::{FailoverFailure, Limits, RetryPolicy};
use crate::matching::Test;
use crate::picking::{Alternative, HostPolicy, RequestLimits, Ring, Split, Target, TargetLimits, Version};
use crate::regex::{RegexSet, Rewriter, Strategy};
use crate::route::{Action, ActionKind, Forwarding, MirrorTarget};
use crate::table::DEFAULT_PORT;

/// The last compiled actions with their rules. Equal rules share an action, because many rules often send to a few
/// versions.
#[derive(Default)]
pub(super) struct Recent<'c>(VecDeque<(&'c HttpRoute, &'c str, Arc<Action>)>);

/// The number of actions that are kept. Each rule is compared with all of them.
const RECENT_ACTIONS: usize = 16;

impl Compiler<'_> {
    /// The compiled action of a rule.
    pub(super) fn action<'c>(
        &mut self,
        resolved: &'c ResolvedRule<'c>,
        policies: &Policies,
        recent: &mut Recent<'c>,
    ) -> Arc<Action> {
        let (rule, namespace) = (&*resolved.rule, resolved.namespace);
        let known = recent.0.iter().find(|(other, of, _)| *of == namespace && have_same_action(rule, other));
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
            (Some(redirect), _) => ActionKind::Redirect(redirect.clone()),
            (None, Some(response)) => ActionKind::DirectResponse(response.clone()),
            (None, None) => ActionKind::Forward(Box::new(self.forwarding(rule, namespace, policies))),
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
                let destination = self.destination(&target.destination, namespace, policies);
                let headers = Arc::new(self.header_policy(rule, target.headers.as_deref()));
                let fault = policies.fault(&destination.host, destination.subset.as_deref());
                Version { destination: Arc::new(destination), headers, fault }
            })
            .collect();
        let for_all = Arc::new(self.header_policy(rule, None));
        let places: Vec<_> = owns.iter().map(|own| self.versions(own, &owns, &for_all, policies)).collect();
        let weights = rule.route.iter().map(|target| target.weight);
        let targets: Box<[Target]> = owns
            .into_iter()
            .zip(weights)
            .zip(places)
            .map(|((own, weight), (versions, order))| {
                let policy = policies.get(&own.destination.host).cloned();
                let limits = self.target_limits(rule, policy.as_deref());
                Target { policy, own, weight, versions, order, limits }
            })
            .collect();
        let mirrors = rule.mirrors.iter().flatten().take(MAX_MIRRORS).map(|mirror| MirrorTarget {
            destination: self.destination(&mirror.destination, namespace, policies),
            percentage: mirror.percentage,
        });
        let mirrors = mirrors.collect();
        Forwarding {
            split: Split::new(targets.iter().map(|target| target.weight.into())),
            ring: Ring::compile(&targets),
            targets,
            path: rule.rewrite.as_ref().and_then(|rewrite| Some(self.path_rewrite(rewrite.path.as_ref()?))),
            mirrors,
            cors: rule.cors_policy.as_deref().map(|policy| Box::new(self.cors(policy))),
        }
    }

    /// The versions that may replace a target, and the fallback order among them.
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
            // If two targets have the same version, the first counts.
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
                let bare = self.destination_on_port(&destination.host, Some(subset), destination.port, policies);
                versions.push(Alternative::Bare(Version { destination: Arc::new(bare), headers, fault }));
                names.push(Arc::clone(subset));
            }
        }
        let order = policy.order.iter().filter_map(|subset| names.iter().position(|name| name == subset));
        (versions.into(), order.collect())
    }

    /// The header operations of a rule for one destination, in Envoy's order. With one destination the rule's
    /// operations come first. In a split the destination's come first.
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

    /// The steps of operations that Envoy applies as one list: all removals, then the `set` and `add` of each part.
    fn steps(&mut self, parts: &[&HeaderOperations]) -> Vec<HeaderStep> {
        let mut steps = Vec::new();
        for name in parts.iter().flat_map(|part| &part.remove) {
            let value = Format { parts: Box::default() };
            steps.push(HeaderStep { name: self.headers.header(name), operation: Operation::Remove, value });
        }
        for part in parts {
            for (operation, values) in [(Operation::Set, &part.set), (Operation::Add, &part.add)] {
                for (name, value) in values {
                    let value = self.format(value);
                    steps.push(HeaderStep { name: self.headers.header(name), operation, value });
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

    fn destination(&mut self, destination: &ConfigDestination, namespace: &str, policies: &Policies) -> Destination {
        let host = self.text(&host::qualify(&destination.host, namespace));
        let subset = destination.subset.as_deref().map(|subset| self.text(subset));
        let port = destination.port.or_else(|| self.only_port(&host));
        self.destination_on_port(&host, subset.as_ref(), port, policies)
    }

    /// The port of a host for which `services` lists a single port.
    fn only_port(&self, host: &str) -> Option<u16> {
        if let [port] = **self.ports.get(host)? { Some(port) } else { None }
    }

    /// A version of a host on a port. Without a port, on the request's port.
    fn destination_on_port(
        &mut self,
        host: &Arc<str>,
        subset: Option<&Arc<str>>,
        port: Option<u16>,
        policies: &Policies,
    ) -> Destination {
        let (config, version) = (self.config, subset.map(AsRef::as_ref));
        let policy = policies.get(host).filter(|_| config.clusters.failover);
        let fails_over = policy.is_some_and(|policy| policy.has_other(version));
        let name = |port: u16| config.clusters.name(host, version, port);
        let clusters = match port {
            None if config.clusters.needs_port(host, version) => {
                let ports = self.ports.get(&**host).copied().unwrap_or_default().iter();
                let named = ports.map(|port| (*port, ClusterName::new(&name(*port), fails_over)));
                let default = (DEFAULT_PORT, ClusterName::new(&name(DEFAULT_PORT), false));
                ClusterNames::ByPort {
                    known: named.take(MAX_NAMED_PORTS).chain([default]).collect(),
                    around_port: config.clusters.around_port(host, version).into(),
                }
            }
            port => ClusterNames::Fixed(ClusterName::new(&name(port.unwrap_or(DEFAULT_PORT)), fails_over)),
        };
        let revision = version.filter(|_| policy.is_some()).and_then(|version| policies.revision(host, version));
        let (id, revision) = (self.destination_id(host, subset), revision.map(|revision| self.text(revision)));
        Destination { id, host: Arc::clone(host), subset: subset.cloned(), port, revision, clusters }
    }

    fn path_rewrite(&self, rewrite: &ConfigRewrite) -> PathRewrite {
        match rewrite {
            ConfigRewrite::Uri(uri) => PathRewrite::Matched(uri.as_str().into()),
            ConfigRewrite::Regex(substitution) => PathRewrite::Regex(Rewriter::new(substitution, &self.caches)),
        }
    }

    /// The limits of a target's requests, and other limits for requests that may be repeated on the next version.
    fn target_limits(&mut self, rule: &HttpRoute, policy: Option<&HostPolicy>) -> TargetLimits {
        let is_followed = self.config.mode == Mode::Cluster;
        let fails_over = policy.filter(|policy| self.config.clusters.failover && !policy.order.is_empty());
        let of_rule = rule.retries.as_deref().filter(|retries| retries.attempts > 0).map(retry_policy);
        let longest = fails_over.map_or(0, |policy| u32::try_from(policy.order.len()).unwrap_or(u32::MAX));
        let at_least = |policy: RetryPolicy| RetryPolicy { attempts: policy.attempts.max(longest), ..policy };
        let timeout = rule.timeout.filter(|_| is_followed);
        // Istio's proxies also have Istio's default retries on each route.
        let has_istios = self.config.proxy.namespace.is_some() && (is_followed || rule.retries.is_none());
        let istios: &[&str] = if has_istios { &DEFAULT_RETRY_ON } else { &[] };
        let accrual = policy.and_then(|policy| policy.accrual.as_deref());
        let failover_failure = |retries: Option<&RetryPolicy>| {
            let named = retries.into_iter().flat_map(|retries| retries.retry_on.split(','));
            let codes = retries.map(|retries| &*retries.status_codes).unwrap_or_default();
            accrual
                .map(|accrual| FailoverFailure::of(named.chain(istios.iter().copied()), codes, accrual))
                .unwrap_or_default()
        };
        let repeatable = fails_over.and_then(|policy| policy.retry_next.as_ref()).map(|next| {
            let retries = merge_retries(of_rule.clone(), next);
            let failover_failure = failover_failure(Some(&retries));
            (next.clone(), RequestLimits { limits: Some(self.limits(timeout, Some(retries))), failover_failure })
        });
        let failover_failure = failover_failure(of_rule.as_ref());
        let limits = is_followed.then(|| self.limits(timeout, of_rule.map(at_least)));
        TargetLimits { all: RequestLimits { limits, failover_failure }, repeatable }
    }

    fn limits(&mut self, timeout: Option<Duration>, retries: Option<RetryPolicy>) -> Limits {
        let millis = |duration: Duration| duration.as_millis().to_string();
        let of_retries = |text: fn(&RetryPolicy) -> String| retries.as_ref().map(text);
        let headers = [
            ("x-envoy-upstream-rq-timeout-ms", timeout.map(millis)),
            ("x-envoy-max-retries", of_retries(|retries| retries.attempts.to_string())),
            (
                "x-envoy-upstream-rq-per-try-timeout-ms",
                retries.as_ref().and_then(|retries| retries.per_try_timeout).map(millis),
            ),
            ("x-envoy-retry-on", of_retries(|retries| conditions(retries, &HTTP_CONDITIONS))),
            ("x-envoy-retry-grpc-on", of_retries(|retries| conditions(retries, &GRPC_CONDITIONS))),
            (
                "x-envoy-retriable-status-codes",
                of_retries(|retries| join(retries.status_codes.iter().map(u16::to_string))),
            ),
        ];
        let given =
            headers.into_iter().filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)));
        let headers = given.map(|(name, value)| (self.headers.header(name), value.into_bytes().into())).collect();
        Limits { timeout, retries, headers }
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

/// Merges a rule's retries with the retries of a policy. Envoy has one retry count for both.
fn merge_retries(of_rule: Option<RetryPolicy>, next: &RetryNext) -> RetryPolicy {
    let Some(of_rule) = of_rule else {
        return RetryPolicy {
            attempts: next.attempts,
            per_try_timeout: next.per_try_timeout,
            retry_on: next.on.join(","),
            status_codes: next.status_codes.clone(),
        };
    };
    let named: Vec<&str> = of_rule.retry_on.split(',').collect();
    let new = next.on.iter().map(String::as_str).filter(|condition| !named.contains(condition));
    let retry_on = join(named.iter().copied().chain(new));
    let mut status_codes = of_rule.status_codes;
    status_codes.extend(&next.status_codes);
    status_codes.sort_unstable();
    status_codes.dedup();
    RetryPolicy {
        attempts: of_rule.attempts.max(next.attempts),
        per_try_timeout: of_rule.per_try_timeout.or(next.per_try_timeout),
        retry_on,
        status_codes,
    }
}

/// The conditions that belong into one of Envoy's two retry headers.
fn conditions(retries: &RetryPolicy, known: &[&str]) -> String {
    join(retries.retry_on.split(',').filter(|condition| known.contains(condition)))
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

/// Whether two rules of one namespace have the same action, whatever they match.
fn have_same_action(rule: &HttpRoute, other: &HttpRoute) -> bool {
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
