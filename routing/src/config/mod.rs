//! The configuration document, read strictly.
//!
//! The document is walked as a whole: every error is reported, each with its JSON pointer, and a document with an error is
//! refused entirely. Both spellings of a field are taken (camelCase, and the proto's snake_case). What Istio's validation
//! rejects is rejected here in its words; what Istio only warns about is a [`Warning`].

mod clusters;
mod control_headers;
mod destination_rule;
pub(crate) mod error;
mod http_match;
mod http_route;
pub(crate) mod node;
mod object;
mod proxy;
mod service;
mod string_match;
mod syntax;
mod virtual_service;

use serde_json::Value;

pub use clusters::Clusters;
pub use control_headers::{ControlHeaders, MAX_MIRRORS};
pub use destination_rule::{DestinationRule, Subset};
pub use error::{ConfigError, ConfigErrorKind, ConfigErrors, Warning};
pub use http_match::HttpMatch;
pub use http_route::{HttpRoute, HttpRouteDestination};
pub use object::{DEFAULT_NAMESPACE, Metadata};
pub use proxy::Proxy;
pub use service::Service;
pub use string_match::StringMatch;
pub use virtual_service::{MESH, VirtualService};

use crate::host;
use error::Findings;
use node::Node;

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
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

impl Config {
    /// Reads a document from JSON text. An empty text is the empty document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_json(text: &[u8]) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        if text.trim_ascii().is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        let document: Value = serde_json::from_slice(text).map_err(|error| {
            ConfigErrors::from(ConfigError { at: String::new(), kind: ConfigErrorKind::Syntax(error.to_string()) })
        })?;
        Self::read(&document)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &Value) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let findings = Findings::default();
        let config = Self::read_node(&Node::root(document, &findings));
        let warnings = findings.into_result()?;
        Ok((config.unwrap_or_default(), warnings))
    }

    fn read_node(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        if let Some(mode) = fields.get("mode") {
            match mode.string() {
                Some("cluster") | None => {}
                Some("version") => mode.error(ConfigErrorKind::NotSupportedYet),
                Some(other) => mode.invalid(format!("mode is cluster or version, not {other:?}")),
            }
        }
        let virtual_services = fields.get("virtualServices");
        let config = Self {
            virtual_services: virtual_services
                .iter()
                .flat_map(|list| {
                    list.elements().filter_map(|element| VirtualService::read(&element)).collect::<Vec<_>>()
                })
                .collect(),
            destination_rules: fields
                .get("destinationRules")
                .iter()
                .flat_map(|list| {
                    list.elements().filter_map(|element| DestinationRule::read(&element)).collect::<Vec<_>>()
                })
                .collect(),
            services: fields
                .get("services")
                .iter()
                .flat_map(|list| list.elements().flat_map(|element| Service::read(&element)).collect::<Vec<_>>())
                .collect(),
            clusters: fields.get("clusters").and_then(|clusters| Clusters::read(&clusters)).unwrap_or_default(),
            headers: fields.get("headers").and_then(|headers| ControlHeaders::read(&headers)).unwrap_or_default(),
            proxy: fields.get("proxy").and_then(|proxy| Proxy::read(&proxy)).unwrap_or_default(),
        };
        fields.not_supported_yet(&["policies", "overrides", "faults", "guard", "candidate", "role"]);
        config.warn_of_undefined_subsets(node);
        fields.finish();
        Some(config)
    }

    fn warn_of_undefined_subsets(&self, node: &Node<'_>) {
        for service in &self.virtual_services {
            for destination in service.http.iter().flat_map(|rule| &rule.route) {
                let Some(subset) = &destination.subset else { continue };
                let host = host::qualify(&destination.host, &service.metadata.namespace);
                if !self.defines_subset(&host, subset) {
                    node.warn_at(
                        &destination.at,
                        format!("no DestinationRule defines subset {subset} of {host}; requests for it fail until its cluster exists"),
                    );
                }
            }
        }
    }

    /// Whether a DestinationRule of the document defines the subset of a host (its full name).
    #[must_use]
    pub fn defines_subset(&self, host: &str, subset: &str) -> bool {
        let rules = self.destination_rules.iter().filter(|rule| host::covers(&rule.host, host));
        rules.flat_map(|rule| &rule.subsets).any(|defined| defined.name == subset)
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

    /// Every destination of every rule, once, in order.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationKey> {
        let keys = self.virtual_services.iter().flat_map(|service| {
            let namespace = &service.metadata.namespace;
            service
                .http
                .iter()
                .flat_map(|rule| &rule.route)
                .map(|destination| self.destination_key(destination, namespace))
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// A destination of an object of `namespace`, with its full host and its port as far as the document knows it.
    #[must_use]
    pub fn destination_key(&self, destination: &HttpRouteDestination, namespace: &str) -> DestinationKey {
        let host = host::qualify(&destination.host, namespace);
        let port = destination.port.or_else(|| self.only_port(&host));
        DestinationKey { host, subset: destination.subset.clone(), port }
    }
}

/// A port number.
pub(crate) fn port(node: &Node<'_>) -> Option<u16> {
    node.integer("port number", 1..=65535).and_then(|port| u16::try_from(port).ok())
}

/// A map of Kubernetes labels.
pub(crate) fn labels(node: &Node<'_>) -> Vec<(String, String)> {
    let labels = node.string_map();
    for (key, value) in &labels {
        node.check(syntax::check_label(key, value));
    }
    labels
}

/// A list of gateway names.
fn gateways(node: &Node<'_>) -> Vec<String> {
    let names = node.elements().filter_map(|element| {
        let name = element.string()?;
        element.check(syntax::check_gateway(name));
        if let Some((gateway, rest)) = name.split_once('.').filter(|_| !name.contains('/')) {
            let namespace = rest.split('.').next().unwrap_or(rest);
            element.warn(format!(
                "using legacy gatewayName format {name:?}; prefer the <namespace>/<name> format: \"{namespace}/{gateway}\""
            ));
        }
        Some(name.to_owned())
    });
    names.collect()
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
