//! Delegates: a root's rule hands over to another object, whose rules it narrows (istiod's `mergeHTTPRoute`).

use std::ops::Deref;
use std::sync::Arc;

use crate::Config;
use crate::destination::Destination;
use crate::http_match::HttpMatch;
use crate::http_route::{Delegate, HttpRoute};
use crate::string_match::StringMatch;
use crate::virtual_service::VirtualService;

/// A rule as it acts, with the namespace that its short destinations belong to.
#[derive(Debug, Clone)]
pub struct ResolvedRule<'c> {
    /// The rule: the object's own, or one of a delegate's under its root.
    pub rule: Rule<'c>,
    /// The namespace of the object in which it was written.
    pub namespace: &'c str,
}

impl ResolvedRule<'_> {
    /// Its destinations and the targets of its copies.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        let routed = self.rule.route.iter().map(|target| &target.destination);
        routed.chain(self.rule.mirrors.iter().flatten().map(|mirror| &mirror.destination))
    }
}

/// A rule of the document, or one that was made of two.
#[derive(Debug, Clone)]
pub enum Rule<'c> {
    /// An object's own.
    Own(&'c HttpRoute),
    /// A delegate's under its root's.
    Merged(Box<HttpRoute>),
}

impl Deref for Rule<'_> {
    type Target = HttpRoute;

    fn deref(&self) -> &HttpRoute {
        match self {
            Self::Own(rule) => rule,
            Self::Merged(rule) => rule,
        }
    }
}

impl Config {
    /// The rules of an object in order, with those of its delegates in the place of the rules that hand over to them.
    #[must_use]
    pub fn rules_of<'c>(&'c self, service: &'c VirtualService) -> Vec<ResolvedRule<'c>> {
        let mut rules = Vec::with_capacity(service.http.len());
        for rule in &service.http {
            match &rule.delegate {
                None => rules.push(ResolvedRule { rule: Rule::Own(rule), namespace: &service.metadata.namespace }),
                Some(delegate) => {
                    let Some(target) = self.delegate(delegate, service) else { continue };
                    let merged = target.http.iter().filter_map(|own| merge(rule, own));
                    rules.extend(merged.map(|rule| ResolvedRule {
                        rule: Rule::Merged(rule.into()),
                        namespace: &target.metadata.namespace,
                    }));
                }
            }
        }
        rules
    }

    /// The object that a root hands over to: it has no hosts, and the root's namespace sees it.
    pub(super) fn delegate(&self, delegate: &Delegate, root: &VirtualService) -> Option<&VirtualService> {
        let root_namespace = &root.metadata.namespace;
        let namespace = delegate.namespace.as_ref().unwrap_or(root_namespace);
        self.virtual_services.iter().find(|service| {
            service.hosts.is_empty()
                && service.metadata.name == delegate.name
                && service.metadata.namespace == *namespace
                && service.is_exported_to(root_namespace)
        })
    }
}

/// A delegate's rule under its root's; `None` where their matches contradict each other.
fn merge(root: &HttpRoute, own: &HttpRoute) -> Option<HttpRoute> {
    let matches = merge_matches(&root.matches, &own.matches)?;
    let mut merged = own.clone();
    merged.matches = matches;
    merged.name = join(&root.name, &own.name);
    inherit(&mut merged.rewrite, &root.rewrite);
    inherit(&mut merged.direct_response, &root.direct_response);
    inherit(&mut merged.timeout, &root.timeout);
    inherit(&mut merged.retries, &root.retries);
    inherit(&mut merged.fault, &root.fault);
    inherit(&mut merged.mirrors, &root.mirrors);
    inherit(&mut merged.cors_policy, &root.cors_policy);
    inherit(&mut merged.headers, &root.headers);
    Some(merged)
}

fn inherit<T: Clone>(own: &mut Option<T>, root: &Option<T>) {
    if own.is_none() {
        own.clone_from(root);
    }
}

/// `root-delegate`, or whichever name there is.
fn join(root: &str, own: &str) -> String {
    match (root, own) {
        (root, "") => root.to_owned(),
        ("", own) => own.to_owned(),
        (root, own) => format!("{root}-{own}"),
    }
}

/// Every entry of the delegate under every entry of the root that it does not contradict; each needs one at least.
fn merge_matches(root: &[Arc<HttpMatch>], own: &[Arc<HttpMatch>]) -> Option<Vec<Arc<HttpMatch>>> {
    match (root, own) {
        ([], own) => return Some(own.to_vec()),
        (root, []) => return Some(root.to_vec()),
        _ => {}
    }
    let mut merged = Vec::new();
    for entry in own {
        let under: Vec<_> =
            root.iter().filter(|root| !conflict(root, entry)).map(|root| Arc::new(merge_match(root, entry))).collect();
        if under.is_empty() {
            return None;
        }
        merged.extend(under);
    }
    Some(merged)
}

fn merge_match(root: &HttpMatch, own: &HttpMatch) -> HttpMatch {
    let mut merged = own.clone();
    let name = join(root.name.as_deref().unwrap_or_default(), own.name.as_deref().unwrap_or_default());
    merged.name = (!name.is_empty()).then_some(name);
    inherit(&mut merged.uri, &root.uri);
    inherit(&mut merged.scheme, &root.scheme);
    inherit(&mut merged.method, &root.method);
    inherit(&mut merged.authority, &root.authority);
    inherit(&mut merged.port, &root.port);
    inherit(&mut merged.source_namespace, &root.source_namespace);
    add_missing(&mut merged.headers, &root.headers);
    add_missing(&mut merged.without_headers, &root.without_headers);
    add_missing(&mut merged.claims, &root.claims);
    add_missing(&mut merged.without_claims, &root.without_claims);
    add_missing(&mut merged.query_params, &root.query_params);
    add_missing(&mut merged.source_labels, &root.source_labels);
    if merged.gateways.is_empty() {
        merged.gateways.clone_from(&root.gateways);
    }
    merged
}

/// A key on both sides is the delegate's.
fn add_missing<K: PartialEq + Clone, V: Clone>(own: &mut Vec<(K, V)>, root: &[(K, V)]) {
    for (key, value) in root {
        if !own.iter().any(|(known, _)| known == key) {
            own.push((key.clone(), value.clone()));
        }
    }
}

/// Whether an entry of a delegate is no part of its root's (istiod's `hasConflict`).
fn conflict(root: &HttpMatch, own: &HttpMatch) -> bool {
    let texts = [
        (&root.uri, &own.uri),
        (&root.scheme, &own.scheme),
        (&root.method, &own.method),
        (&root.authority, &own.authority),
    ];
    let namespaces = root.source_namespace.is_some() && root.source_namespace != own.source_namespace;
    let ports = root.port.is_some() && own.port.is_some() && root.port != own.port;
    let gateways = !root.gateways.is_empty() && !own.gateways.iter().all(|gateway| root.gateways.contains(gateway));
    texts.iter().any(|(root, own)| matches!((root, own), (Some(root), Some(own)) if text_conflict(root, own)))
        || maps_conflict(&root.headers, &own.headers, text_conflict)
        || maps_conflict(&root.without_headers, &own.without_headers, text_conflict)
        || maps_conflict(&root.claims, &own.claims, text_conflict)
        || maps_conflict(&root.without_claims, &own.without_claims, text_conflict)
        || maps_conflict(&root.query_params, &own.query_params, text_conflict)
        || maps_conflict(&root.source_labels, &own.source_labels, |root, own| root != own)
        || root.ignore_uri_case != own.ignore_uri_case
        || ports
        || namespaces
        || gateways
}

fn maps_conflict<K: PartialEq, V>(root: &[(K, V)], own: &[(K, V)], conflict: impl Fn(&V, &V) -> bool) -> bool {
    own.iter().any(|(key, own)| root.iter().any(|(root_key, root)| root_key == key && conflict(root, own)))
}

/// Whether the delegate's text is no part of the root's: equal to an exact one, within a prefix; regexes fit nothing.
fn text_conflict(root: &StringMatch, own: &StringMatch) -> bool {
    match (root, own) {
        (StringMatch::Exact(root), StringMatch::Exact(own)) => root != own,
        (StringMatch::Prefix(root), StringMatch::Prefix(own) | StringMatch::Exact(own)) => {
            !own.starts_with(root.as_str())
        }
        _ => true,
    }
}
