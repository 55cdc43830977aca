//! `VirtualService`: hosts and their rules.

use crate::export_to::is_exported;
use crate::host;
use crate::http_route::HttpRoute;
use crate::node::{Fields, Node};
use crate::object::{self, Metadata};
use crate::pointer::Pointer;
use crate::syntax;
use crate::vocabulary::VIRTUAL_SERVICE;

/// A VirtualService, as far as HTTP goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualService {
    /// JSON pointer of the spec in the document.
    pub at: String,
    /// Name, namespace and age.
    pub metadata: Metadata,
    /// Hosts as written, in lower case; none makes the object a delegate.
    pub hosts: Vec<String>,
    /// Gateways as written; empty means `mesh`.
    pub gateways: Vec<String>,
    /// Namespaces that see the object; empty means all.
    pub export_to: Vec<String>,
    /// Rules in order; the first that matches counts.
    pub http: Vec<HttpRoute>,
}

/// The reserved gateway name of all sidecars.
pub const MESH: &str = "mesh";

impl VirtualService {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        object::read(
            node,
            &["VirtualService"],
            |_| &VIRTUAL_SERVICE,
            |fields, metadata, _| Self::read_spec(fields, metadata),
        )
    }

    /// The full names of the hosts.
    pub fn qualified_hosts(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(|name| host::qualify(name, &self.metadata.namespace))
    }

    /// Whether objects of a namespace may refer to this one.
    #[must_use]
    pub fn is_exported_to(&self, namespace: &str) -> bool {
        is_exported(&self.export_to, &self.metadata.namespace, |target| target == namespace)
    }

    fn read_spec(fields: &Fields<'_>, metadata: Metadata) -> Option<Self> {
        let gateways = fields.get("gateways").map(|gateways| crate::gateways(&gateways)).unwrap_or_default();
        let in_mesh = gateways.is_empty() || gateways.iter().any(|gateway| gateway == MESH);
        let hosts = fields.get("hosts").map(|hosts| read_hosts(&hosts, in_mesh)).unwrap_or_default();
        let in_delegate = hosts.is_empty();
        if in_delegate {
            check_delegate(fields);
        }
        let export_to = fields.get("exportTo").map(|list| crate::export_to(&list)).unwrap_or_default();
        let http = fields.get("http");
        let is_there = |name| fields.get(name).is_some_and(|list| !list.is_empty_list());
        if !["http", "tls", "tcp"].into_iter().any(is_there) {
            fields.node().invalid("http, tcp or tls must be provided in virtual service");
        }
        fields.not_carried_out(&["tls", "tcp"], "an HTTP filter sees HTTP requests only");
        let http = http.map(|list| read_rules(&list, in_delegate, !in_mesh)).unwrap_or_default();
        Some(Self { at: fields.node().pointer(), metadata, hosts, gateways, export_to, http })
    }
}

fn read_rules(list: &Node<'_>, in_delegate: bool, claims_allowed: bool) -> Vec<HttpRoute> {
    let (at, mut indices) = (list.pointer().into(), 0..);
    list.read_each(|rule| {
        let at = Pointer::new(&at, indices.next().unwrap_or_default());
        HttpRoute::read(rule, at, in_delegate, claims_allowed)
    })
}

/// A VirtualService without hosts is a delegate.
fn check_delegate(fields: &Fields<'_>) {
    for (field, what) in [("gateways", "gateways"), ("tls", "tls route"), ("tcp", "tcp route")] {
        if fields.get(field).is_some_and(|list| !list.is_empty_list()) {
            fields.node().invalid(format!("delegate virtual service must have no {what} specified"));
        }
    }
}

fn read_hosts(node: &Node<'_>, in_mesh: bool) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for element in node.elements() {
        let Some(name) = element.string().map(str::to_ascii_lowercase) else { continue };
        if name.parse::<std::net::IpAddr>().is_err() {
            element.check(syntax::check_wildcard_domain(&name));
        }
        if in_mesh && name == "*" {
            element.invalid(
                "wildcard host * is not allowed for virtual services bound to the mesh gateway; name a gateway in gateways",
            );
        } else if let Some(other) = hosts.iter().find(|other| host::overlap(other, &name)) {
            element.invalid(format!("duplicate hosts in virtual service: {other} & {name}"));
        }
        hosts.push(name);
    }
    hosts
}
