//! The bootstrap, listener, clusters and filter that most tests use. The one for readers is `envoy-configs/bootstrap.yaml`.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::{
    binaries,
    failover::{self, Failover},
    pushed::PushedFile,
};

/// The name of the listener, of its filter and of the filter's ECDS resource.
pub const NAME: &str = "canary";

/// Above Envoy's default of 60 KiB for all headers of a request, so that one of 60 KB fits.
const MAX_HEADERS_KIB: u32 = 96;
/// Above Envoy's default of 100 headers, so that 100 repeated ones fit in addition to the others.
const MAX_HEADERS: u32 = 200;

/// The whole bootstrap: clusters from `clusters`, listeners as given.
#[must_use]
pub fn bootstrap(clusters: &PushedFile, listeners: &Listeners<'_>, statistics: &Value) -> Value {
    let mut bootstrap = json!({
        "node": {"id": "e2e", "cluster": "e2e"},
        "admin": {"address": loopback(0)},
        "dynamic_resources": {"cds_config": clusters.config_source()},
        "stats_config": statistics,
    });
    match listeners {
        Listeners::Static(listeners) => bootstrap["static_resources"] = json!({"listeners": listeners}),
        Listeners::Lds(file) => bootstrap["dynamic_resources"]["lds_config"] = file.config_source(),
    }
    bootstrap
}

/// `stats_config` of the bootstrap for readers.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn statistics() -> Value {
    let text = fs::read_to_string(binaries::workspace().join("envoy-configs/bootstrap.yaml")).expect("the bootstrap");
    let bootstrap: Value = serde_saphyr::from_str(&text).expect("YAML");
    bootstrap.get("stats_config").expect("stats_config").clone()
}

/// Where listeners come from.
#[derive(Debug)]
pub enum Listeners<'a> {
    /// The bootstrap.
    Static(&'a [Value]),
    /// A file.
    Lds(&'a PushedFile),
}

/// The filters and routes around the filter in the listener.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// HTTP filters before it.
    pub before: Vec<Value>,
    /// HTTP filters between it and the router.
    pub after: Vec<Value>,
    /// The routes.
    pub routes: Vec<Value>,
    /// `stats_config` of the bootstrap.
    pub statistics: Value,
    /// More fields of the connection manager.
    pub manager: Value,
    /// The kind of the documents' failover clusters, if there are any.
    pub failover: Option<Failover>,
}

impl Default for Surroundings {
    /// No other filters. The first route obeys every control header. The second, native one ignores them.
    fn default() -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            routes: vec![steered_route(), native_route()],
            statistics: statistics(),
            manager: json!({}),
            failover: None,
        }
    }
}

impl Surroundings {
    /// With failover clusters, and a route with this number of retries.
    #[must_use]
    pub fn failing_over(failover: Failover, retries: u32) -> Self {
        let mut steered = steered_route();
        steered["route"]["retry_policy"] = failover.retry_policy(retries);
        let mut grpc = steered.clone();
        grpc["match"]["grpc"] = json!({});
        grpc["route"]["max_stream_duration"] = json!({"grpc_timeout_header_max": "0s"});
        Self { failover: Some(failover), routes: vec![grpc, steered, native_route()], ..Self::default() }
    }
}

/// The route of cluster mode.
#[must_use]
pub fn steered_route() -> Value {
    const CONTROL: [&str; 6] = [
        "x-canary-cluster",
        "x-canary-version",
        "x-canary-host",
        "x-canary-mirror",
        "x-canary-mirror-2",
        "x-canary-mirror-3",
    ];
    let removals = CONTROL.iter().map(|name| json!({"remove": name}));
    let mark = json!({"append": {
        "header": {"key": SHADOW, "value": "true"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }});
    let mutations: Vec<_> = removals.chain([mark]).collect();
    let mirrors = ["x-canary-mirror", "x-canary-mirror-2", "x-canary-mirror-3"].map(|name| {
        json!({
            "cluster_header": name,
            "disable_shadow_host_suffix_append": true,
            "request_headers_mutations": mutations,
        })
    });
    json!({
        "match": {"prefix": "/", "headers": [{"name": "x-canary-cluster", "present_match": true}]},
        "route": {
            "cluster_header": "x-canary-cluster",
            "timeout": "0s",
            "host_rewrite_header": "x-canary-host",
            "request_mirror_policies": mirrors,
        },
        "request_headers_to_remove": ["x-canary-cluster"],
    })
}

/// The route of requests that the filter leaves alone.
#[must_use]
pub fn native_route() -> Value {
    json!({"match": {"prefix": "/"}, "route": {"cluster": "native", "timeout": "0s"}})
}

/// Marks a mirrored copy.
pub const SHADOW: &str = "x-canary-shadow";

/// A listener with the filter.
#[must_use]
pub fn listener(filter: &Value, surroundings: &Surroundings, access_log: &Path) -> Value {
    let filters: Vec<_> = surroundings.before.iter().chain([filter]).chain(&surroundings.after).cloned().collect();
    let routes = ("route_config", routes(&json!(surroundings.routes)));
    let mut listener = listener_of(NAME, filters, routes, &[json_access_log(access_log)]);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    for (field, value) in surroundings.manager.as_object().expect("fields of the connection manager") {
        manager[field] = value.clone();
    }
    listener
}

/// A listener without the filter, whose routes come from a file.
#[must_use]
pub fn native_listener(routes: &PushedFile, access_log: &Path) -> Value {
    let routes = json!({"route_config_name": NAME, "config_source": routes.config_source()});
    listener_of(NAME, Vec::new(), ("rds", routes), &[json_access_log(access_log)])
}

/// The resource that [`native_listener`] waits for.
#[must_use]
pub fn rds_resource(list: &Value) -> Value {
    let mut resource = routes(list);
    resource["@type"] = json!("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    resource
}

/// A route configuration that holds these routes for every host.
#[must_use]
pub fn routes(list: &Value) -> Value {
    json!({
        "name": NAME,
        "validate_clusters": false,
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list}],
    })
}

/// A listener with these HTTP filters before the router; where its routes come from is a field and its value.
#[must_use]
pub fn listener_of(
    name: &str,
    mut filters: Vec<Value>,
    (source, routes): (&str, Value),
    access_logs: &[Value],
) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    filters.push(router);
    json!({
        "name": name,
        "address": loopback(0),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": NAME,
                "normalize_path": true,
                "max_request_headers_kb": MAX_HEADERS_KIB,
                "common_http_protocol_options": {"max_headers_count": MAX_HEADERS},
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "access_log": access_logs,
                "http_filters": filters,
                source: routes,
            },
        }]}],
    })
}

/// A listener as a resource of LDS.
#[must_use]
pub fn lds_resource(mut listener: Value) -> Value {
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    listener
}

/// The filter with its configuration in the listener.
#[must_use]
pub fn inline_filter(wasm: &Path, document: &Value) -> Value {
    inline_module(wasm, &document.to_string())
}

/// Any module, with any configuration.
#[must_use]
pub fn inline_module(wasm: &Path, configuration: &str) -> Value {
    json!({"name": NAME, "typed_config": wasm_config(wasm, configuration)})
}

/// The filter by ECDS.
#[must_use]
pub fn discovered_filter(file: &PushedFile) -> Value {
    json!({"name": NAME, "config_discovery": {
        "config_source": file.config_source(),
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }})
}

/// The resource that [`discovered_filter`] waits for.
#[must_use]
pub fn ecds_resource(wasm: &Path, document: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": NAME,
        "typed_config": wasm_config(wasm, &document.to_string()),
    })
}

/// A cluster of one endpoint, with the client's protocol, and without limits (Istio's default).
#[must_use]
pub fn cluster(name: &str, endpoint: SocketAddr) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        }]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
        }},
        "load_assignment": load_assignment(name, &[endpoint]),
    })
}

/// Endpoints with their version in the metadata. The cluster keeps all its requests while one of them is healthy.
fn load_assignment(cluster: &str, endpoints: &[SocketAddr]) -> Value {
    let endpoint = |endpoint: &SocketAddr| json!({"endpoint": {"address": loopback(endpoint.port())}, "metadata": failover::metadata(cluster)});
    json!({
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>()}],
        "policy": {"overprovisioning_factor": 100_000},
    })
}

/// A cluster without an endpoint.
#[must_use]
pub fn empty_cluster(name: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": []},
    })
}

/// A cluster like [`cluster`] whose endpoints come from a file.
#[must_use]
pub fn discovered_cluster(name: &str, endpoints: &PushedFile) -> Value {
    let mut cluster = cluster(name, SocketAddr::from(([127, 0, 0, 1], 0)));
    cluster["type"] = json!("EDS");
    cluster["eds_cluster_config"] = json!({"eds_config": endpoints.config_source()});
    if let Some(fields) = cluster.as_object_mut() {
        fields.remove("load_assignment");
    }
    cluster
}

/// The resource that [`discovered_cluster`] waits for.
#[must_use]
pub fn eds_resource(name: &str, endpoints: &[SocketAddr]) -> Value {
    let mut resource = load_assignment(name, endpoints);
    resource["@type"] = json!("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
    resource
}

fn wasm_config(wasm: &Path, configuration: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": NAME,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": NAME,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": wasm}},
            },
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration},
        },
    })
}

fn json_access_log(path: &Path) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": {
                "id": "%REQ(X-TEST-ID)%",
                "code": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                "cluster": "%UPSTREAM_CLUSTER%",
                "canary": "%FILTER_STATE(wasm.canary:PLAIN)%",
                // Written only by `filterState.separate`.
                "version": "%FILTER_STATE(wasm.canary_version:PLAIN)%",
                "reason": "%FILTER_STATE(wasm.canary_reason:PLAIN)%",
                "route": "%FILTER_STATE(wasm.canary_route:PLAIN)%",
                // Milliseconds until the request's last byte went to the upstream, and until the answer's went to the client.
                "sent_after": "%REQUEST_TX_DURATION%",
                "answered_after": "%DURATION%",
            }},
        },
    })
}

fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
