//! Patches of an EnvoyFilter, and the object around them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    manifest::{CommentedList, Manifest},
    plugin::{Plugin, Workload},
};
use crate::bootstrap::listener;

/// Applied after EnvoyFilters that say nothing of their order, so that what these insert is there.
pub(super) const PRIORITY: i32 = 10;
const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";
/// The filter that sends requests on, the last of the chain.
pub(super) const ROUTER: &str = "envoy.filters.http.router";

/// A patch, and what it is for.
pub(super) type Patch = (String, Value);

/// An EnvoyFilter for the plugin's proxies.
pub(super) fn envoy_filter(
    plugin: &Plugin,
    comments: Vec<String>,
    metadata: Value,
    priority: i32,
    patches: Vec<Patch>,
) -> Manifest {
    let mut spec = plugin.target("workloadSelector", "labels");
    if let Some(fields) = spec.as_object_mut() {
        fields.insert("priority".to_owned(), json!(priority));
    }
    let object = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": metadata,
        "spec": spec,
    });
    Manifest { comments, object, list: Some(CommentedList { field: "configPatches", elements: patches }) }
}

pub(super) fn http_filter(plugin: &Plugin, filter: &str, operation: &str, value: &Value) -> Value {
    json!({
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": context(plugin),
            "listener": {"filterChain": {"filter": {"name": CONNECTION_MANAGER, "subFilter": {"name": filter}}}},
        },
        "patch": {"operation": operation, "value": value},
    })
}

/// The headers of these names are removed before any filter.
pub(super) fn without_clients_copies<'n>(plugin: &Plugin, names: impl Iterator<Item = &'n str>) -> Patch {
    let strip = json!({
        "name": CONNECTION_MANAGER,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "early_header_mutation_extensions": [listener::strip(names)],
        },
    });
    (
        "What steers the proxy is not for clients to say. The filter removes their copies itself; this holds where it is\nnot there (FAIL_OPEN).".to_owned(),
        json!({
            "applyTo": "NETWORK_FILTER",
            "match": {"context": context(plugin), "listener": {"filterChain": {"filter": {"name": CONNECTION_MANAGER}}}},
            "patch": {"operation": "MERGE", "value": strip},
        }),
    )
}

/// A patch of a filter chain, in each of the ports alone that the filter is for. What clients may not say is taken from them at every
/// port: Istio does not look at the port of a route where a Gateway says `bind`.
pub(super) fn at_ports(plugin: &Plugin, (why, patch): Patch) -> Vec<Patch> {
    if plugin.ports.is_empty() || patch.get("applyTo") != Some(&json!("HTTP_FILTER")) {
        return vec![(why, patch)];
    }
    let at_port = |port: &u16| {
        let mut patch = patch.clone();
        if let Some(listener) = patch.pointer_mut("/match/listener").and_then(Value::as_object_mut) {
            listener.insert("portNumber".to_owned(), json!(port));
        }
        (why.clone(), patch)
    };
    plugin.ports.iter().map(at_port).collect()
}

pub(super) fn context(plugin: &Plugin) -> &'static str {
    match plugin.workload {
        Workload::Gateway => "GATEWAY",
        Workload::Sidecar => "SIDECAR_OUTBOUND",
    }
}

/// A match of each virtual host of a host of the rules, on one port alone if that is given. Sidecars name one by host and port, whose
/// domains may be `*`; gateways make one of several hosts with the same routes, whose name is that of any of them.
pub(super) fn virtual_hosts(plugin: &Plugin, host: &str, port: Option<u16>) -> Vec<Value> {
    let ports = match port {
        Some(port) => BTreeSet::from([port]),
        None => ports(plugin, host),
    };
    let at_gateway = plugin.workload == Workload::Gateway;
    if ports.is_empty() || at_gateway && port.is_none() && plugin.ports.is_empty() {
        return vec![json!({"vhost": {"domainName": host}})];
    }
    let at = |port: &u16| match at_gateway {
        true => json!({"portNumber": port, "vhost": {"domainName": host}}),
        false => json!({"vhost": {"name": format!("{host}:{port}")}}),
    };
    ports.iter().map(at).collect()
}

/// The ports by which clients reach a host, as far as they are known.
fn ports(plugin: &Plugin, host: &str) -> BTreeSet<u16> {
    if !plugin.ports.is_empty() {
        return plugin.ports.iter().copied().collect();
    }
    let services = plugin.config.services.iter().filter(|service| service.host == host);
    services.flat_map(|service| service.ports.clone()).collect()
}
