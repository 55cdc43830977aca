//! Policies, compiled: the version that a client asks for, and the versions that may stand in for another.

use std::sync::Arc;

use crate::config::{
    Config, ControlHeaders, Destination as ConfigDestination, FailureAccrual, Fault, Overrides, Policy, Protocol, Ramp,
    Sticky, VersionFault,
};
use crate::format::Property;
use crate::host_index::HostIndex;
use crate::overrides::{Permission, Permissions};
use crate::request::{Claim, RequestView};
use crate::route::Destination;
use crate::timestamp::Timestamp;

/// What a policy says for one host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostPolicy {
    /// The host's full name.
    pub(crate) host: String,
    /// The order in which versions are tried; the last is the default.
    pub(crate) fallback: Vec<String>,
    /// The same user gets the same version.
    pub(crate) sticky: Option<Sticky>,
    /// A weight that the clock moves.
    pub(crate) ramp: Option<Ramp>,
    /// Everything goes to the default.
    pub(crate) frozen: bool,
    header: Option<VersionHeader>,
    faults: Vec<VersionFault>,
    /// Every version that the policy names, as a destination without a port of a rule.
    destinations: Vec<Destination>,
    /// What failures do to a version.
    pub(crate) accrual: Option<Arc<FailureAccrual>>,
}

#[derive(Debug, PartialEq, Eq)]
struct VersionHeader {
    name: String,
    protocol: Protocol,
    versions: Vec<String>,
}

/// What a client asked for in a version header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked<'t> {
    /// Nothing; rules see the default, which does not bind them.
    Nothing,
    /// A version that is known.
    Known(&'t str),
    /// Anything else, once, twice or malformed: it stands for the default. The first line, cut to what a name can hold.
    Unknown(String),
}

/// The policies by the full names of their hosts.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    hosts: HostIndex,
    all: Vec<Arc<HostPolicy>>,
}

impl Policies {
    pub(crate) fn get(&self, host: &str) -> Option<&Arc<HostPolicy>> {
        self.all.get(self.hosts.find_exactly(host)?)
    }

    fn add(&mut self, policy: HostPolicy) {
        self.hosts.insert(policy.host.clone(), self.all.len());
        self.all.push(policy.into());
    }
}

/// The longest name of a version, as of a Kubernetes label.
const LONGEST_NAME: usize = 63;

impl HostPolicy {
    /// The policies of a document by host, destinations without one included where something holds for them, too.
    pub(crate) fn compile_all(config: &Config) -> Policies {
        let mut policies = Policies::default();
        for policy in &config.policies {
            for host in &policy.hosts {
                policies.add(Self::compile(policy, host, config));
            }
        }
        if let Some(policy) = config.policy_of_others() {
            for key in config.destinations() {
                if policies.get(&key.host).is_none() {
                    policies.add(Self::compile(&policy, &key.host, config));
                }
            }
        }
        policies
    }

    fn compile(policy: &Policy, host: &str, config: &Config) -> Self {
        let known = config.known_versions(policy, host);
        let destinations = policy.with_fallback(known.clone()).into_iter().map(|subset| {
            let destination =
                ConfigDestination { at: policy.at.clone(), host: host.to_owned(), subset: Some(subset), port: None };
            Destination::compile(&destination, 0, "", config)
        });
        Self {
            host: host.to_owned(),
            fallback: policy.fallback.clone(),
            sticky: policy.sticky.clone(),
            ramp: policy.ramp.clone(),
            frozen: policy.frozen,
            destinations: destinations.collect(),
            faults: policy.faults.clone(),
            accrual: policy.failure_accrual.clone().map(Arc::new),
            header: policy.version_header.as_ref().map(|header| VersionHeader {
                name: header.name.clone(),
                protocol: header.protocol,
                versions: known,
            }),
        }
    }

    /// The version that is always able to run.
    pub(crate) fn default_subset(&self) -> Option<&str> {
        self.fallback.last().map(String::as_str)
    }

    /// Whether clients can name a version.
    pub(crate) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// The faults of all versions.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().map(|fault| &fault.fault)
    }

    /// Whether a version has a delay of its own.
    pub(crate) fn has_delays(&self) -> bool {
        self.faults().any(|fault| fault.delay.is_some())
    }

    /// Whether a version has an abort of its own.
    pub(crate) fn has_aborts(&self) -> bool {
        self.faults().any(|fault| fault.abort.is_some())
    }

    /// The fault of a version.
    pub(crate) fn fault(&self, subset: Option<&str>) -> Option<&Fault> {
        self.faults.iter().find(|fault| Some(fault.subset.as_str()) == subset).map(|fault| &fault.fault)
    }

    /// One of the policy's versions as a destination.
    pub(crate) fn destination(&self, subset: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.subset.as_deref() == Some(subset))
    }

    /// The version header's name, if it counts for the request.
    pub(crate) fn header_for(&self, request: &impl RequestView) -> Option<&str> {
        let header = self.header.as_ref()?;
        let is_grpc =
            || request.header("content-type").next().is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let counts = match header.protocol {
            Protocol::Any => true,
            Protocol::Grpc => is_grpc(),
            Protocol::Http => !is_grpc(),
        };
        counts.then_some(header.name.as_str())
    }

    /// What the client asks for, where the version header counts for the request.
    pub(crate) fn asked<'t>(&'t self, request: &impl RequestView) -> Option<Asked<'t>> {
        let name = self.header_for(request)?;
        let mut lines = request.header(name);
        let Some(first) = lines.next() else { return Some(Asked::Nothing) };
        let known = self.header.iter().flat_map(|header| &header.versions).find(|version| version.as_bytes() == first);
        Some(match (known, lines.next()) {
            (Some(version), None) => Asked::Known(version),
            _ => Asked::Unknown(cut_name(first)),
        })
    }
}

/// What a client wrote where a version's name belongs, cut to what a name can hold.
pub(crate) fn cut_name(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..LONGEST_NAME).unwrap_or(text)).into_owned()
}

/// A request as the rules see it: its version headers name versions that exist, and what is not for them is not there.
pub(crate) struct Normalised<'r, R> {
    request: &'r R,
    /// (header, version), for each version header that counts.
    versions: Vec<(&'r str, &'r str)>,
    hidden: Hidden<'r>,
}

/// The headers that rules, format strings and keys of users cannot see: the filter's own, and secrets.
#[derive(Clone, Copy)]
pub(crate) struct Hidden<'r> {
    pub(crate) headers: &'r ControlHeaders,
    pub(crate) overrides: &'r Overrides,
    /// A trusted client's wish for a version is no secret.
    pub(crate) permissions: Permissions,
}

impl Hidden<'_> {
    fn hides(&self, name: &str) -> bool {
        let is_own = self.headers.names().any(|own| own == name);
        let is_wish = || self.permissions.version == Permission::Granted && self.headers.version() == Some(name);
        (is_own && !is_wish()) || self.overrides.secret_headers().any(|secret| secret == name)
    }
}

impl<'r, R: RequestView> Normalised<'r, R> {
    pub(crate) fn new(request: &'r R, policies: &'r [Arc<HostPolicy>], hidden: Hidden<'r>) -> Self {
        let versions = policies.iter().filter_map(|policy| {
            let version = match policy.asked(request)? {
                Asked::Known(version) => version,
                Asked::Unknown(_) | Asked::Nothing => policy.default_subset()?,
            };
            Some((policy.header_for(request)?, version))
        });
        Self { request, versions: versions.collect(), hidden }
    }
}

impl<R: RequestView> RequestView for Normalised<'_, R> {
    fn method(&self) -> &[u8] {
        self.request.method()
    }

    fn scheme(&self) -> &[u8] {
        self.request.scheme()
    }

    fn authority(&self) -> &[u8] {
        self.request.authority()
    }

    fn path(&self) -> &[u8] {
        self.request.path()
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let version = self.versions.iter().find(|(header, _)| *header == name).map(|(_, version)| version.as_bytes());
        let is_replaced = version.is_some() || self.hidden.hides(name);
        version.into_iter().chain(self.request.header(name).filter(move |_| !is_replaced))
    }

    fn port(&self) -> Option<u16> {
        self.request.port()
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.request.property(property)
    }

    fn claim(&self, path: &[String]) -> Claim {
        self.request.claim(path)
    }

    fn now(&self) -> Option<Timestamp> {
        self.request.now()
    }
}
