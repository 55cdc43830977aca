//! `policies`: what the VirtualService API has no words for.

use std::collections::hash_map::Entry;

use crate::Config;
use crate::destination_rule::DestinationRules;
use crate::error::WarningCode;
use crate::failure_accrual::FailureAccrual;
use crate::fault::Fault;
use crate::host;
use crate::node::{Fields, Node};
use crate::object::DEFAULT_NAMESPACE;
use crate::ramp::Ramp;
use crate::retry_next::RetryNext;
use crate::sticky::Sticky;
use crate::syntax;
use crate::values::read_subset;
use crate::vocabulary;
use crate::word_hash::WordMap;

/// What holds for the versions of some hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// JSON pointer of the policy in the document.
    pub at: String,
    /// Full names of the destination hosts.
    pub hosts: Vec<String>,
    /// The order in which versions are tried when the chosen one cannot serve; the last is the default.
    pub fallback: Vec<String>,
    /// The client names the version that it wants.
    pub version_header: Option<VersionHeader>,
    /// The same user gets the same version.
    pub sticky: Option<Sticky>,
    /// The weight of a version by the clock.
    pub ramp: Option<Ramp>,
    /// Everything goes to the default.
    pub frozen: bool,
    /// Faults of single versions, in place of the rule's of the same kind.
    pub faults: Vec<VersionFault>,
    /// Versions that fail are ejected for a while.
    pub failure_accrual: Option<FailureAccrual>,
    /// Which requests may be repeated on the next version.
    pub retry_next: Option<RetryNext>,
}

/// A request header whose value is a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionHeader {
    /// The header, in lower case.
    pub name: String,
    /// Which requests it counts for.
    pub protocol: Protocol,
    /// The known versions; `None` means the subsets of the host's DestinationRules.
    pub versions: Option<Vec<String>>,
}

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Every request.
    Any,
    /// Requests whose content type starts with `application/grpc`.
    Grpc,
    /// All others.
    Http,
}

/// The fault of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFault {
    /// The version.
    pub subset: String,
    /// What is injected, and for whom.
    pub fault: Fault,
}

impl Policy {
    /// The version that is always able to run.
    #[must_use]
    pub fn default_subset(&self) -> Option<&str> {
        self.fallback.last().map(String::as_str)
    }

    /// Every version that it can pick: those that its header may name or an override force, and its fallback order, the default included.
    #[must_use]
    pub fn with_fallback(&self, known: Vec<String>) -> Vec<String> {
        let mut versions = known;
        for subset in &self.fallback {
            if !versions.contains(subset) {
                versions.push(subset.clone());
            }
        }
        versions
    }

    /// The versions that its header may name for one of its hosts; the default is always one of them.
    #[must_use]
    pub fn known_versions(&self, host: &str, rules: &DestinationRules<'_>) -> Vec<String> {
        let listed = self.version_header.as_ref().and_then(|header| header.versions.as_ref());
        let named = match listed {
            Some(versions) => versions.iter().map(String::as_str).collect(),
            None => rules.subsets_of(host),
        };
        let mut versions: Vec<String> = Vec::new();
        for version in named.into_iter().chain(self.default_subset()) {
            if !versions.iter().any(|known| known == version) {
                versions.push(version.to_owned());
            }
        }
        versions
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::POLICY)?;
        let namespace = fields.get("namespace").and_then(|namespace| namespace.string()).unwrap_or(DEFAULT_NAMESPACE);
        let hosts = fields.require("hosts").map(|hosts| read_hosts(&hosts, namespace)).unwrap_or_default();
        let fallback = read_fallback(&fields);
        let policy = Self {
            at: node.pointer(),
            hosts,
            sticky: fields.get("sticky").and_then(|sticky| Sticky::read(&sticky)),
            ramp: fields.get("ramp").and_then(|ramp| Ramp::read(&ramp, fallback.last().map(String::as_str))),
            retry_next: fields.get("retryNext").and_then(|retry| RetryNext::read(&retry, fallback.len())),
            frozen: fields.get("frozen").and_then(|frozen| frozen.boolean()).unwrap_or(false),
            fallback,
            version_header: fields.get("versionHeader").and_then(|header| VersionHeader::read(&header)),
            faults: fields.get("faults").map(|faults| read_faults(&faults)).unwrap_or_default(),
            failure_accrual: fields.get("failureAccrual").and_then(|accrual| FailureAccrual::read(&accrual)),
        };
        if policy.fallback.is_empty() {
            policy.check_without_default(node);
        }
        if policy.failure_accrual.is_some() && policy.fallback.is_empty() {
            node.warn(
                WarningCode::NoEffect,
                "failureAccrual ejects nothing without fallback or defaultSubset: there is nothing to fall back to",
            );
        }
        policy.check_order(node);
        fields.finish();
        Some(policy)
    }

    /// The default lies in the middle of the ring: a slot at its ends would put two canaries on one side.
    fn check_order(&self, node: &Node<'_>) {
        let order = self.sticky.iter().flat_map(|sticky| sticky.order.iter().enumerate());
        for (index, subset) in order.filter(|(_, subset)| self.default_subset() == Some(subset.as_str())) {
            let message = format!("{subset} is the default, which lies in the middle and has no slot");
            node.invalid_at(format!("{}/sticky/order/{index}", self.at), message);
        }
    }

    fn check_without_default(&self, node: &Node<'_>) {
        for (is_set, message) in [
            (self.version_header.is_some(), "versionHeader needs defaultSubset: what unknown versions become"),
            (self.sticky.is_some(), "sticky needs defaultSubset: who gives users to a growing canary"),
            (self.ramp.is_some(), "ramp needs defaultSubset: who gives weight to the canary"),
            (self.frozen, "frozen needs defaultSubset: who gets everything"),
        ] {
            if is_set {
                node.invalid(message);
            }
        }
    }
}

fn read_hosts(node: &Node<'_>, namespace: &str) -> Vec<String> {
    let hosts = node.read_each(|element| {
        let name = element.string()?.to_ascii_lowercase();
        element.check(syntax::check_fqdn(&name));
        Some(host::qualify(&name, namespace))
    });
    if hosts.is_empty() {
        node.invalid("hosts names no host");
    }
    hosts
}

/// `fallback` and `defaultSubset` say the same order in two fields: the default is its end.
fn read_fallback(fields: &Fields<'_>) -> Vec<String> {
    let default = fields.get("defaultSubset").and_then(|subset| read_subset(&subset));
    let mut order: Vec<String> = Vec::new();
    if let Some(list) = fields.get("fallback") {
        for element in list.elements() {
            let Some(subset) = read_subset(&element) else { continue };
            if order.contains(&subset) {
                element.invalid(format!("{subset} is in the order already"));
            }
            order.push(subset);
        }
        if let (Some(last), Some(default)) = (order.last(), &default)
            && last != default
        {
            list.invalid(format!("the fallback order ends with defaultSubset, {default}, not with {last}"));
        }
    }
    if order.is_empty() {
        order.extend(default);
    }
    order
}

impl VersionHeader {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::VERSION_HEADER)?;
        let name = fields.require("name").and_then(|name| {
            let text = name.string()?.to_ascii_lowercase();
            if !syntax::is_header_name(&text) || text == "host" {
                name.invalid(format!("{text:?} cannot be the name of a version header"));
            }
            Some(text)
        });
        let protocol = fields.get("protocols").map_or(Protocol::Any, |protocols| read_protocols(&protocols));
        let versions = fields.get("versions").map(|list| read_versions(&list));
        fields.finish();
        Some(Self { name: name?, protocol, versions })
    }
}

fn read_versions(node: &Node<'_>) -> Vec<String> {
    if node.is_empty_list() {
        node.invalid(
            "versions names no version; without the field they are the subsets of the host's DestinationRules",
        );
    }
    node.read_each(read_subset)
}

fn read_protocols(node: &Node<'_>) -> Protocol {
    if node.is_empty_list() {
        node.invalid("protocols names no protocol; without the field the header counts for every request");
    }
    let (mut grpc, mut http) = (false, false);
    for element in node.elements() {
        match element.string() {
            Some("grpc") => grpc = true,
            Some("http") => http = true,
            Some(other) => element.invalid(format!("a protocol is grpc or http, not {other:?}")),
            None => {}
        }
    }
    match (grpc, http) {
        (true, false) => Protocol::Grpc,
        (false, true) => Protocol::Http,
        _ => Protocol::Any,
    }
}

fn read_faults(node: &Node<'_>) -> Vec<VersionFault> {
    let mut seen: Vec<String> = Vec::new();
    node.read_each(|element| {
        let fields = element.object(&vocabulary::VERSION_FAULT)?;
        let subset = fields.require("subset").and_then(|subset| {
            let name = read_subset(&subset)?;
            if seen.contains(&name) {
                subset.invalid(format!("{name} has a fault already: give its delay and its abort in one"));
            }
            seen.push(name.clone());
            Some(name)
        });
        let fault = fields.require("fault").and_then(|fault| Fault::read(&fault));
        fields.finish();
        Some(VersionFault { subset: subset?, fault: fault? })
    })
}

impl Config {
    /// The versions that a policy's header may name for one of its hosts; the default is always one of them.
    #[must_use]
    pub fn known_versions(&self, policy: &Policy, host: &str) -> Vec<String> {
        policy.known_versions(host, &DestinationRules::of(self))
    }

    /// Every version that can be picked for a host, whatever a rule names: by its policy, or by who may force a version.
    #[must_use]
    pub fn versions_picked(&self, host: &str) -> Vec<String> {
        let empty = self.policy_of_others();
        let policy = self.policy_of(host).or(empty.as_ref());
        policy.map(|policy| policy.with_fallback(self.known_versions(policy, host))).unwrap_or_default()
    }

    /// The policy that names a host.
    #[must_use]
    pub fn policy_of(&self, host: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.hosts.iter().any(|own| own == host))
    }

    /// What holds for hosts that no policy names: where versions can be forced an empty one, which knows their versions.
    #[must_use]
    pub fn policy_of_others(&self) -> Option<Policy> {
        (!self.overrides.from.is_empty()).then(Policy::default)
    }

    /// Two policies for one host contradict each other, and so do a version header and a control header of one name.
    pub(super) fn check_policies(&self, rules: &DestinationRules<'_>, node: &Node<'_>) {
        let mut seen = WordMap::default();
        for policy in &self.policies {
            self.check_version_header(policy, node);
            for host in &policy.hosts {
                match seen.entry(host) {
                    Entry::Vacant(place) => {
                        place.insert(&policy.at);
                    }
                    Entry::Occupied(first) => {
                        let other = first.get();
                        node.invalid_at(&policy.at, format!("{other} is for host {host}, too; a host has one policy"));
                    }
                }
                warn_of_unknown_versions(policy, host, &rules.subsets_of(host), node);
            }
        }
    }

    /// What anybody may write must not be what only trusted clients may.
    fn check_version_header(&self, policy: &Policy, node: &Node<'_>) {
        let Some(VersionHeader { name, .. }) = &policy.version_header else { return };
        if self.headers.names().chain(self.overrides.secret_headers()).any(|own| own == name) {
            let message = format!("{name} is the filter's own: clients' copies of it are removed");
            node.invalid_at(format!("{}/versionHeader/name", policy.at), message);
        }
    }
}

fn warn_of_unknown_versions(policy: &Policy, host: &str, defined: &[&str], node: &Node<'_>) {
    let named = policy.fallback.iter().chain(policy.faults.iter().map(|fault| &fault.subset));
    let named = named.chain(policy.ramp.iter().map(|ramp| &ramp.subset));
    let named = named.chain(policy.sticky.iter().flat_map(|sticky| &sticky.order));
    let named = named.chain(policy.version_header.iter().flat_map(|header| header.versions.iter().flatten()));
    let mut reported: Vec<&String> = Vec::new();
    for subset in named {
        if !defined.contains(&&**subset) && !reported.contains(&subset) {
            node.warn_at(
                policy.at.clone(),
                WarningCode::UnknownSubset,
                format!("no DestinationRule defines subset {subset} of {host}"),
            );
            reported.push(subset);
        }
    }
}
