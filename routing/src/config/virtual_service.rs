//! `VirtualService`: hosts and their rules.

use super::http_route::HttpRoute;
use super::node::{Fields, Node};
use super::object::{self, Metadata};
use super::syntax;
use crate::host;

/// A VirtualService, as far as HTTP goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualService {
    /// Name, namespace and age.
    pub metadata: Metadata,
    /// Hosts as written, in lower case.
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
        object::read(node, &["VirtualService"], |fields, metadata, _| Self::read_spec(fields, metadata))
    }

    fn read_spec(fields: &Fields<'_>, metadata: Metadata) -> Option<Self> {
        let gateways = fields.get("gateways").map(|gateways| super::gateways(&gateways)).unwrap_or_default();
        let in_mesh = gateways.is_empty() || gateways.iter().any(|gateway| gateway == MESH);
        let hosts = fields.get("hosts").map(|hosts| read_hosts(&hosts, in_mesh)).unwrap_or_default();
        if hosts.is_empty() {
            fields
                .node()
                .invalid("hosts is required; a VirtualService without hosts is a delegate, which is not supported yet");
        }
        let export_to = fields.get("exportTo").map(|list| super::export_to(&list)).unwrap_or_default();
        let http = fields.get("http");
        let other = ["tls", "tcp"].iter().any(|name| fields.get(name).is_some());
        fields.not_carried_out(&["tls", "tcp"], "an HTTP filter sees HTTP requests only");
        let rules: Vec<_> = http
            .iter()
            .flat_map(|list| list.elements().filter_map(|rule| HttpRoute::read(&rule)).collect::<Vec<_>>())
            .collect();
        if rules.is_empty() && !other && http.is_none_or(|list| list.value().as_array().is_some_and(Vec::is_empty)) {
            fields.node().invalid("http, tcp or tls must be provided in virtual service");
        }
        Some(Self { metadata, hosts, gateways, export_to, http: rules })
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
