//! Files by which Envoy discovers resources.

use std::path::Path;

use serde_json::{Value, json};

/// What the RDS file holds.
pub(crate) fn route_discovery(version: u64, routes: &Value) -> Value {
    discovery_response(version, "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", [routes])
}

/// What the CDS file holds.
pub(crate) fn cluster_discovery(version: u64, clusters: &[Value]) -> Value {
    discovery_response(version, "type.googleapis.com/envoy.config.cluster.v3.Cluster", clusters)
}

pub(super) fn discovery_response<'v>(
    version: u64,
    kind: &str,
    resources: impl IntoIterator<Item = &'v Value>,
) -> Value {
    let typed = resources.into_iter().map(|resource| {
        let mut resource = resource.clone();
        if let Some(fields) = resource.as_object_mut() {
            fields.insert("@type".to_owned(), json!(kind));
        }
        resource
    });
    json!({"version_info": version.to_string(), "resources": typed.collect::<Vec<_>>()})
}

pub(super) fn file_source(path: &Path) -> Value {
    json!({"resource_api_version": "V3", "path_config_source": {"path": path}})
}
