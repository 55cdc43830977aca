//! Compiles the policies of each host.

use std::sync::Arc;

use canary_config::{DestinationRules, IssueCookie, Policy, SameSite, StickyKey as ConfigKey, VersionFault, host};

use super::Compiler;
use crate::host_index::HostIndex;
use crate::matching::Field;
use crate::picking::sticky::{KeySource, NewUser, Sticky, StickyKey};
use crate::picking::{HostPolicy, VersionHeader};

/// The policies by the full names of their hosts.
#[derive(Debug, Default)]
pub(super) struct Policies {
    hosts: HostIndex,
    all: Vec<Entry>,
}

/// The policy of one host.
#[derive(Debug)]
struct Entry {
    policy: Arc<HostPolicy>,
    faults: Vec<VersionFault>,
    /// Each version with the revision that Istio's endpoints name.
    revisions: Vec<(String, String)>,
}

impl Policies {
    pub(super) fn get(&self, host: &str) -> Option<&Arc<HostPolicy>> {
        self.entry(host).map(|entry| &entry.policy)
    }

    /// The fault of a version of a host.
    pub(super) fn fault(&self, host: &str, subset: Option<&str>) -> canary_config::Fault {
        let faults = self.entry(host).map(|entry| entry.faults.as_slice()).unwrap_or_default();
        let fault = faults.iter().find(|fault| Some(fault.subset.as_str()) == subset);
        fault.map(|fault| fault.fault.clone()).unwrap_or_default()
    }

    /// The revision that Istio's endpoints name for the workloads of a version.
    pub(super) fn revision(&self, host: &str, version: &str) -> Option<&str> {
        let revisions = &self.entry(host)?.revisions;
        revisions.iter().find_map(|(known, revision)| (known == version).then_some(revision.as_str()))
    }

    fn entry(&self, host: &str) -> Option<&Entry> {
        self.all.get(self.hosts.find_exactly(host)?)
    }

    fn add(&mut self, policy: HostPolicy, faults: Vec<VersionFault>, rules: &DestinationRules<'_>) {
        let host = policy.host.as_ref();
        let revision = |version: &str| Some((version.to_owned(), rules.revision_of(host, version)?.to_owned()));
        let revisions = rules.subsets_of(host).into_iter().filter_map(revision).collect();
        self.hosts.insert(host.to_owned(), self.all.len());
        self.all.push(Entry { policy: policy.into(), faults, revisions });
    }
}

impl Compiler<'_> {
    /// The policies by host, also for destinations that have no policy of their own and yet have a fault or a revision.
    pub(super) fn policies(&mut self) -> Policies {
        let config = self.config;
        let (mut policies, rules) = (Policies::default(), DestinationRules::of(config));
        for policy in &config.policies {
            for host in &policy.hosts {
                policies.add(self.host_policy(policy, host, &rules), policy.faults.clone(), &rules);
            }
        }
        if let Some(policy) = config.policy_of_others() {
            for resolved in config.virtual_services.iter().flat_map(|service| config.rules_of(service)) {
                for destination in resolved.destinations() {
                    let host = host::qualify(&destination.host, resolved.namespace);
                    if policies.get(&host).is_none() {
                        policies.add(self.host_policy(&policy, &host, &rules), Vec::new(), &rules);
                    }
                }
            }
        }
        policies
    }

    fn host_policy(&mut self, policy: &Policy, host: &str, rules: &DestinationRules<'_>) -> HostPolicy {
        let known = policy.known_versions(host, rules);
        let header = policy.version_header.as_ref().map(|header| VersionHeader {
            name: self.headers.header(&header.name),
            protocol: header.protocol,
            versions: self.all_texts(&known),
        });
        HostPolicy {
            host: self.text(host),
            order: self.all_texts(&policy.fallback),
            versions: self.all_texts(&policy.with_fallback(known)),
            sticky: policy.sticky.as_ref().map(|sticky| self.sticky(sticky)),
            ring_order: policy.sticky.as_ref().map(|sticky| self.all_texts(&sticky.order)).unwrap_or_default(),
            ramp: policy.ramp.clone(),
            frozen: policy.frozen,
            header,
            faults: policy.faults.iter().map(|fault| fault.fault.clone()).collect(),
            accrual: policy.failure_accrual.clone().map(Arc::new),
            retry_next: policy.retry_next.clone(),
        }
    }

    fn all_texts(&mut self, texts: &[String]) -> Box<[Arc<str>]> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    fn sticky(&mut self, sticky: &canary_config::Sticky) -> Sticky {
        let keys = sticky
            .keys
            .iter()
            .map(|key| StickyKey { source: self.key_source(key), description: key.describe().into() });
        let keys = keys.collect();
        let new_user = sticky.issue_cookie.as_ref().and_then(|cookie| {
            let reads_it = |key: &ConfigKey| matches!(key, ConfigKey::Cookie(name) if *name == cookie.name);
            Some(new_user(cookie, sticky.keys.iter().position(reads_it)?))
        });
        Sticky { keys, salt: sticky.salt.as_str().into(), new_user }
    }

    fn key_source(&mut self, key: &ConfigKey) -> KeySource {
        match key {
            ConfigKey::Header(name) => KeySource::Trimmed(self.header_field(name)),
            ConfigKey::Cookie(name) => {
                KeySource::Cookie { header: self.headers.header("cookie").slot(), name: name.as_bytes().into() }
            }
            ConfigKey::Query(name) => KeySource::Whole(Field::Parameter(self.parameters.number(name))),
            ConfigKey::Claim(keys) => KeySource::Claim(self.claim(keys)),
            ConfigKey::SourceIp { prefix_length, prefix_length6 } => {
                KeySource::SourceIp { length: *prefix_length, length6: *prefix_length6 }
            }
        }
    }
}

fn new_user(cookie: &IssueCookie, key: usize) -> NewUser {
    let mut attributes = format!("; Path={}", cookie.path);
    if let Some(seconds) = cookie.max_age {
        attributes.push_str(&format!("; Max-Age={seconds}"));
    }
    if let Some(domain) = &cookie.domain {
        attributes.push_str(&format!("; Domain={domain}"));
    }
    attributes.push_str(&format!("; SameSite={}", cookie.same_site.as_str()));
    NewUser {
        key,
        before_value: format!("{}=", cookie.name).into(),
        attributes: attributes.into(),
        // Browsers require `Secure` with `SameSite=None`.
        secure: cookie.secure.or((cookie.same_site == SameSite::None).then_some(true)),
        http_only: cookie.http_only,
    }
}
