//! The configuration document of canary-filter: its types and the strict reader.
//!
//! [`Config::from_json`] reads a document. Fields are spelled in camelCase or in the proto's snake_case.
//!
//! - **Errors.** The whole document is read, so that every error is reported, each with its JSON pointer. A document with
//!   an error is rejected as a whole. What Istio's validation rejects is rejected here, in Istio's words.
//! - **Warnings.** What Istio only warns about, and what a filter cannot carry out, is a [`Warning`].
//! - **No decisions.** This crate knows no request. `canary-routing` compiles a [`Config`] and decides.
//!
//! ```
//! use canary_config::Config;
//!
//! let (config, warnings) = Config::from_json(br#"{
//!   "virtualServices": [{"hosts": ["reviews"], "http": [
//!     {"name": "all", "route": [
//!       {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
//!       {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10}]}]}],
//!   "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}]}]
//! }"#).unwrap();
//! assert!(warnings.is_empty());
//! assert_eq!(config.virtual_services[0].http[0].route[1].weight, 10);
//!
//! let errors = Config::from_json(br#"{"virtualServices": [{"hosts": ["reviews"], "http": [{"wait": "5s"}]}]}"#).unwrap_err();
//! assert!(errors.iter().any(|error| error.at == "/virtualServices/0/http/0/wait"), "{errors}");
//! ```

mod candidate;
pub mod cidr;
mod clusters;
mod control_headers;
mod cors;
mod delegation;
mod destination;
mod destination_rule;
pub mod duration;
pub mod error;
mod export_to;
mod failover;
mod failure_accrual;
mod fault;
mod fault_settings;
pub mod format;
mod headers;
pub mod host;
mod http_match;
mod http_route;
pub mod json;
mod mirror;
pub mod node;
mod object;
mod observation;
mod overrides;
mod pointer;
mod policy;
mod proxy;
mod ramp;
mod redirect;
pub mod regex;
mod retries;
mod retry_next;
mod review;
mod rewrite;
mod service;
pub mod sorted;
mod sticky;
mod string_match;
mod syntax;
pub mod timestamp;
mod values;
mod virtual_service;
pub mod vocabulary;
pub mod word_hash;

use serde_json::Value;

pub use candidate::Candidate;
pub use clusters::Clusters;
pub use control_headers::{ControlHeaders, MAX_MIRRORS};
pub use cors::CorsPolicy;
pub use delegation::{ResolvedRule, Rule};
pub use destination::Destination;
pub use destination_rule::{DestinationRule, DestinationRules, Subset};
pub use error::{ConfigError, ConfigErrorKind, ConfigErrors, Warning, WarningCode};
pub use failover::{FAILOVER_PREFIX, FailoverCluster, MAX_NAMED_PORTS, failover_name};
pub use failure_accrual::{FailureAccrual, GrpcStatuses, LONGEST_EJECTION, Statuses, Trial};
pub use fault::{AbortStatus, Fault, FaultAbort, FaultDelay};
pub use fault_settings::{FaultDelayer, FaultSettings};
pub use headers::{Authority, HeaderOperations, Headers};
pub use http_match::HttpMatch;
pub use http_route::{Delegate, HttpRoute, HttpRouteDestination};
pub use mirror::Mirror;
pub use object::{DEFAULT_NAMESPACE, Metadata};
pub use observation::{FilterState, Metrics};
pub use overrides::{Overrides, Principal, Secret, TrustedSource};
pub use pointer::Pointer;
pub use policy::{Policy, Protocol, VersionFault, VersionHeader};
pub use proxy::Proxy;
pub use ramp::Ramp;
pub use redirect::{DirectResponse, Redirect, RedirectPath, RedirectPort};
pub use retries::{DEFAULT_RETRY_ON, GRPC_CONDITIONS, HTTP_CONDITIONS, REPEATS_NOTHING, Retries};
pub use retry_next::RetryNext;
pub use rewrite::{PathRewrite, Rewrite};
pub use service::Service;
pub use sticky::{IssueCookie, SameSite, Sticky, StickyKey};
pub use string_match::StringMatch;
pub use timestamp::Timestamp;
pub use values::Percentage;
pub use virtual_service::{MESH, VirtualService};

pub use json::Json;
use node::{Fields, Node};
use sorted::sorted;

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Who carries out the rules.
    pub mode: Mode,
    /// Hosts and their rules.
    pub virtual_services: Vec<VirtualService>,
    /// Versions of hosts.
    pub destination_rules: Vec<DestinationRule>,
    /// Ports of hosts.
    pub services: Vec<Service>,
    /// How destinations become cluster names.
    pub clusters: Clusters,
    /// Names of the control headers.
    pub headers: ControlHeaders,
    /// Who the filter runs in.
    pub proxy: Proxy,
    /// How faults are carried out.
    pub faults: FaultSettings,
    /// What the VirtualService API has no words for.
    pub policies: Vec<Policy>,
    /// Who may force a version or ask for an explanation.
    pub overrides: Overrides,
    /// A second document, evaluated beside this one and never applied.
    pub candidate: Option<Box<Candidate>>,
    /// What is counted.
    pub metrics: Metrics,
    /// Filter state, for access logs and traces.
    pub filter_state: FilterState,
}

/// Who carries out the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The filter carries out the whole rule, and names the cluster.
    #[default]
    Cluster,
    /// The filter picks the version and nothing else; native routes that match the version header do the rest.
    Version,
}

/// A destination that some rule names, with every default applied that the document alone can apply.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DestinationKey {
    /// The host's full name.
    pub host: String,
    /// The subset.
    pub subset: Option<String>,
    /// The port; `None` means the request's.
    pub port: Option<u16>,
}

/// Why the fields of the first release's second filter are rejected.
const NO_GUARD: &str = "there is no guard any more: take its filter out of the chain, and write the failover clusters that `canaryctl render` prints";

impl Config {
    /// Reads a document from JSON text. An empty text is the empty document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_json(text: &[u8]) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        if text.trim_ascii().is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        let document = Json::parse(text).map_err(|error| {
            ConfigErrors::from(ConfigError { at: String::new(), kind: ConfigErrorKind::Syntax(error.to_string()) })
        })?;
        Self::read_document(&document)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &Value) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        Self::read_document(&document.into())
    }

    fn read_document(document: &Json<'_>) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let (config, warnings) = node::read(document, Self::read_node)?;
        Ok((config.unwrap_or_default(), warnings))
    }

    fn read_node(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::CONFIGURATION)?;
        let mut config =
            Self { mode: fields.get("mode").and_then(|mode| read_mode(&mode)).unwrap_or_default(), ..Self::default() };
        config.read_rules(&fields);
        fields.removed(&["role", "guard"], NO_GUARD);
        read_section(&fields, "headers", &mut config.headers, ControlHeaders::read);
        read_section(&fields, "proxy", &mut config.proxy, Proxy::read);
        read_section(&fields, "metrics", &mut config.metrics, Metrics::read);
        read_section(&fields, "filterState", &mut config.filter_state, FilterState::read);
        let headers = &config.headers;
        read_section(&fields, "overrides", &mut config.overrides, |place| Overrides::read(place, headers));
        config.review(node);
        config.candidate = fields.get("candidate").and_then(|place| Candidate::read(&place, &config)).map(Box::new);
        fields.finish();
        Some(config)
    }

    /// The sections that say what happens to requests; what is absent stays as it is.
    fn read_rules(&mut self, fields: &Fields<'_>) {
        read_list(fields, "virtualServices", &mut self.virtual_services, VirtualService::read);
        read_list(fields, "destinationRules", &mut self.destination_rules, DestinationRule::read);
        read_list(fields, "services", &mut self.services, Service::read);
        read_section(fields, "clusters", &mut self.clusters, Clusters::read);
        read_section(fields, "faults", &mut self.faults, FaultSettings::read);
        read_list(fields, "policies", &mut self.policies, Policy::read);
    }

    /// What can only be judged of the sections together.
    fn review(&self, node: &Node<'_>) {
        let rules = DestinationRules::of(self);
        self.check_policies(&rules, node);
        review::review(self, &rules, node);
    }

    /// The VirtualServices that this proxy sees, in istiod's order: by age, name, namespace.
    #[must_use]
    pub fn services_in_order(&self) -> Vec<&VirtualService> {
        let visible = |service: &&VirtualService| {
            let namespace = &service.metadata.namespace;
            self.proxy.sees(&service.export_to, namespace) && self.proxy.serves_any(&service.gateways, namespace)
        };
        let services = self.virtual_services.iter().filter(visible).collect();
        sorted(services, |left: &&VirtualService, right| left.metadata.rank().cmp(&right.metadata.rank()))
    }

    /// The port of a destination without one: its service's only port.
    #[must_use]
    pub fn only_port(&self, host: &str) -> Option<u16> {
        let mut services = self.services.iter().filter(|service| service.host == host);
        match services.next().map(|service| service.ports.as_slice()) {
            Some([port]) => Some(*port),
            _ => None,
        }
    }

    /// Every destination and mirror of every rule, once, in order.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationKey> {
        let keys = self.virtual_services.iter().flat_map(|service| self.rules_of(service)).flat_map(|resolved| {
            resolved.destinations().map(|target| self.destination_key(target, resolved.namespace)).collect::<Vec<_>>()
        });
        let mut keys = sorted(keys.collect(), DestinationKey::cmp);
        keys.dedup();
        keys
    }

    /// A destination of an object of `namespace`, with its full host and its port as far as the document knows it.
    #[must_use]
    pub fn destination_key(&self, destination: &Destination, namespace: &str) -> DestinationKey {
        let host = host::qualify(&destination.host, namespace);
        let port = destination.port.or_else(|| self.only_port(&host));
        DestinationKey { host, subset: destination.subset.clone(), port }
    }
}

fn read_section<T>(fields: &Fields<'_>, name: &'static str, section: &mut T, read: impl Fn(&Node<'_>) -> Option<T>) {
    if let Some(found) = fields.get(name).and_then(|place| read(&place)) {
        *section = found;
    }
}

/// A list whose elements are objects, each of which gives any number of entries.
fn read_list<T, I: IntoIterator<Item = T>>(
    fields: &Fields<'_>,
    name: &'static str,
    section: &mut Vec<T>,
    read: impl Fn(&Node<'_>) -> I,
) {
    if let Some(list) = fields.get(name) {
        *section = list.read_each(|element| Some(read(element))).into_iter().flatten().collect();
    }
}

fn read_mode(node: &Node<'_>) -> Option<Mode> {
    match node.string()? {
        "cluster" => Some(Mode::Cluster),
        "version" => Some(Mode::Version),
        other => {
            node.invalid(format!("mode is cluster or version, not {other:?}"));
            None
        }
    }
}

/// A port number.
pub fn port(node: &Node<'_>) -> Option<u16> {
    node.integer("port number", 1..=65535).and_then(|port| u16::try_from(port).ok())
}

/// A map of Kubernetes labels.
pub fn labels(node: &Node<'_>) -> Vec<(String, String)> {
    let labels = node.string_map();
    for (key, value) in &labels {
        node.check(syntax::check_label(key, value));
    }
    labels
}

/// A list of gateway names.
fn gateways(node: &Node<'_>) -> Vec<String> {
    node.read_each(|element| {
        let name = element.string()?;
        element.check(syntax::check_gateway(name));
        if let Some((gateway, rest)) = name.split_once('.').filter(|_| !name.contains('/')) {
            let namespace = rest.split('.').next().unwrap_or(rest);
            element.warn(WarningCode::LegacyName, format!(
                "using legacy gatewayName format {name:?}; prefer the <namespace>/<name> format: \"{namespace}/{gateway}\""
            ));
        }
        Some(name.to_owned())
    })
}

/// `exportTo`: namespaces, `.` or `*`.
fn export_to(node: &Node<'_>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for element in node.elements() {
        let Some(target) = element.string() else { continue };
        if !matches!(target, "*" | ".") && !syntax::is_dns_label(target) {
            element.invalid(format!("exportTo takes namespaces, \".\" or \"*\", not {target:?}"));
        } else if seen.iter().any(|other| other == target) {
            element.invalid(format!("duplicate entries in exportTo for entry {target}"));
        }
        seen.push(target.to_owned());
    }
    seen
}
