//! `services`: which ports a host has.

use crate::host;
use crate::node::{Fields, Node};
use crate::object::{self, Metadata};
use crate::syntax;
use crate::vocabulary::{
    KUBERNETES_PORT, KUBERNETES_SERVICE, Object, SERVICE_ENTRY, SERVICE_ENTRY_PORT, SHORT_SERVICE,
};

/// The ports of a host, from `{host, ports}`, a Kubernetes Service or an Istio ServiceEntry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The host's full name.
    pub host: String,
    /// Its ports.
    pub ports: Vec<u16>,
}

impl Service {
    /// Reads one entry; a ServiceEntry gives a service for each of its hosts.
    pub(super) fn read(node: &Node<'_>) -> Vec<Self> {
        let read = object::read(node, &["Service", "ServiceEntry"], spec_of, |fields, metadata, kind| match kind {
            "Service" => Some(Self::read_kubernetes(fields, metadata)),
            "ServiceEntry" => Some(Self::read_service_entry(fields, &metadata)),
            _ => Self::read_short(fields, &metadata).map(|service| vec![service]),
        });
        read.unwrap_or_default()
    }

    fn read_short(fields: &Fields<'_>, metadata: &Metadata) -> Option<Self> {
        let host = fields.require("host");
        let namespace = fields.get("namespace").and_then(|namespace| namespace.string());
        let ports = fields.require("ports").map(|list| list.read_each(crate::port));
        let host = qualified(&host?, namespace.unwrap_or(&metadata.namespace))?;
        Some(Self { host, ports: ports? })
    }

    fn read_kubernetes(fields: &Fields<'_>, metadata: Metadata) -> Vec<Self> {
        let ports = read_ports(fields, &KUBERNETES_PORT, "port");
        vec![Self { host: host::qualify(&metadata.name, &metadata.namespace), ports }]
    }

    fn read_service_entry(fields: &Fields<'_>, metadata: &Metadata) -> Vec<Self> {
        let ports = read_ports(fields, &SERVICE_ENTRY_PORT, "number");
        let hosts = fields.require("hosts").map(|list| list.read_each(|host| qualified(host, &metadata.namespace)));
        hosts.unwrap_or_default().into_iter().map(|host| Self { host, ports: ports.clone() }).collect()
    }
}

fn spec_of(kind: &str) -> &'static Object {
    match kind {
        "Service" => &KUBERNETES_SERVICE,
        "ServiceEntry" => &SERVICE_ENTRY,
        _ => &SHORT_SERVICE,
    }
}

fn qualified(node: &Node<'_>, namespace: &str) -> Option<String> {
    let name = node.string()?;
    node.check(syntax::check_wildcard_domain(name));
    Some(host::qualify(&name.to_ascii_lowercase(), namespace))
}

/// The port numbers of a list of objects that name them by `key`.
fn read_ports(fields: &Fields<'_>, port: &'static Object, key: &'static str) -> Vec<u16> {
    let Some(list) = fields.get("ports") else { return Vec::new() };
    list.read_each(|element| crate::port(&element.object(port)?.require(key)?))
}
