//! `policies`: what the VirtualService API has no words for.

use super::Config;
use super::failure_accrual::FailureAccrual;
use super::fault::Fault;
use super::node::{Fields, Node};
use super::object::DEFAULT_NAMESPACE;
use super::syntax;
use crate::host;

/// What holds for the versions of some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// JSON pointer of the policy in the document.
    pub at: String,
    /// Full names of the destination hosts.
    pub hosts: Vec<String>,
    /// The order in which versions are tried when the chosen one cannot serve; the last is the default.
    pub fallback: Vec<String>,
    /// The client names the version that it wants.
    pub version_header: Option<VersionHeader>,
    /// Faults of single versions, in place of the rule's of the same kind.
    pub faults: Vec<VersionFault>,
    /// Versions that fail are ejected for a while.
    pub failure_accrual: Option<FailureAccrual>,
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

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let namespace = fields.get("namespace").and_then(|namespace| namespace.string()).unwrap_or(DEFAULT_NAMESPACE);
        let hosts = fields.require("hosts").map(|hosts| read_hosts(&hosts, namespace)).unwrap_or_default();
        let policy = Self {
            at: node.pointer(),
            hosts,
            fallback: read_fallback(&fields),
            version_header: fields.get("versionHeader").and_then(|header| VersionHeader::read(&header)),
            faults: fields.get("faults").map(|faults| read_faults(&faults)).unwrap_or_default(),
            failure_accrual: fields.get("failureAccrual").and_then(|accrual| FailureAccrual::read(&accrual)),
        };
        if policy.version_header.is_some() && policy.fallback.is_empty() {
            node.invalid("versionHeader needs defaultSubset: what unknown versions become");
        }
        if policy.failure_accrual.is_some() && policy.fallback.is_empty() {
            node.warn(
                "failureAccrual ejects nothing without fallback or defaultSubset: there is nothing to fall back to",
            );
        }
        fields.not_supported_yet(&["sticky", "ramp", "frozen"]);
        fields.finish();
        Some(policy)
    }
}

fn read_hosts(node: &Node<'_>, namespace: &str) -> Vec<String> {
    let hosts = node.elements().filter_map(|element| {
        let name = element.string()?.to_ascii_lowercase();
        element.check(syntax::check_fqdn(&name));
        Some(host::qualify(&name, namespace))
    });
    let hosts: Vec<_> = hosts.collect();
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

fn read_subset(node: &Node<'_>) -> Option<String> {
    let name = node.string()?;
    node.check(syntax::check_subset(name));
    Some(name.to_owned())
}

impl VersionHeader {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let name = fields.require("name").and_then(|name| {
            let text = name.string()?.to_ascii_lowercase();
            if !syntax::is_header_name(&text) || text == "host" {
                name.invalid(format!("{text:?} cannot be the name of a version header"));
            }
            Some(text)
        });
        let protocol = fields.get("protocols").map_or(Protocol::Any, |protocols| read_protocols(&protocols));
        let versions =
            fields.get("versions").map(|list| list.elements().filter_map(|subset| read_subset(&subset)).collect());
        fields.finish();
        Some(Self { name: name?, protocol, versions })
    }
}

fn read_protocols(node: &Node<'_>) -> Protocol {
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
    let faults = node.elements().filter_map(|element| {
        let fields = element.object()?;
        let subset = fields.require("subset").and_then(|subset| read_subset(&subset));
        let fault = fields.require("fault").and_then(|fault| Fault::read(&fault));
        fields.finish();
        Some(VersionFault { subset: subset?, fault: fault? })
    });
    faults.collect()
}

impl Config {
    /// The versions that a policy's header may name for one of its hosts.
    #[must_use]
    pub fn known_versions(&self, policy: &Policy, host: &str) -> Vec<String> {
        if let Some(versions) = policy.version_header.as_ref().and_then(|header| header.versions.as_ref()) {
            return versions.clone();
        }
        let subsets = self.destination_rules_for(host).into_iter().flat_map(|rule| &rule.subsets);
        let mut versions: Vec<String> = Vec::new();
        for subset in subsets {
            if !versions.contains(&subset.name) {
                versions.push(subset.name.clone());
            }
        }
        versions
    }

    /// Two policies for one host contradict each other.
    pub(super) fn check_policies(&self, node: &Node<'_>) {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for policy in &self.policies {
            for host in &policy.hosts {
                if let Some((_, other)) = seen.iter().find(|(known, _)| known == host) {
                    node.invalid(format!("{} and {other} are both for host {host}", policy.at));
                }
                seen.push((host, &policy.at));
                self.warn_of_unknown_versions(policy, host, node);
            }
        }
    }

    fn warn_of_unknown_versions(&self, policy: &Policy, host: &str, node: &Node<'_>) {
        let named = policy.fallback.iter().chain(policy.faults.iter().map(|fault| &fault.subset));
        let named = named.chain(policy.version_header.iter().flat_map(|header| header.versions.iter().flatten()));
        let mut told: Vec<&String> = Vec::new();
        for subset in named {
            if !self.defines_subset(host, subset) && !told.contains(&subset) {
                node.warn_at(&policy.at, format!("no DestinationRule defines subset {subset} of {host}"));
                told.push(subset);
            }
        }
    }
}
