//! Objects for `kubectl apply` that surround what is tested.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::istio::istiod::ROOT_NAMESPACE;

/// The port of every service unless it says otherwise.
pub const PORT: u16 = 9080;

/// An object.
#[must_use]
pub fn object(version: &str, kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": version, "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

/// Several at once.
#[must_use]
pub fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// A namespace.
#[must_use]
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Turns mTLS off for the whole mesh, because there are no certificates.
#[must_use]
pub fn no_mtls() -> Value {
    object(
        "security.istio.io/v1",
        "PeerAuthentication",
        ROOT_NAMESPACE,
        "default",
        json!({"mtls": {"mode": "DISABLE"}}),
    )
}

/// A Gateway for these hosts on a port of the proxies with the label `istio: SELECTED`, in whichever namespace they are.
#[must_use]
pub fn gateway(namespace: &str, name: &str, address: Ipv4Addr, port: u16, selected: &str, hosts: &[&str]) -> Value {
    object(
        "networking.istio.io/v1",
        "Gateway",
        namespace,
        name,
        json!({
            "selector": {"istio": selected},
            "servers": [{
                "port": {"number": port, "name": format!("http-{port}"), "protocol": "HTTP"},
                "hosts": hosts,
                "bind": address.to_string(),
            }],
        }),
    )
}

/// What a sidecar with the label `app: NAME` sends to all services of its namespace on [`PORT`], which it takes on its own address.
#[must_use]
pub fn sidecar(namespace: &str, name: &str, address: Ipv4Addr) -> Value {
    object(
        "networking.istio.io/v1",
        "Sidecar",
        namespace,
        name,
        json!({
            "workloadSelector": {"labels": {"app": name}},
            "egress": [{
                "port": {"number": PORT, "name": "http", "protocol": "HTTP"},
                "bind": address.to_string(),
                "captureMode": "NONE",
                "hosts": ["./*"],
            }],
        }),
    )
}
