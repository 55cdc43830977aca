//! The listener: normalise the path as Istio does, ask the filter, follow the header it sets.

use canary_routing::config::ControlHeaders;
use serde_json::{Value, json};

use super::NATIVE_CLUSTER;

/// The listener on 127.0.0.1. `canary` is the entry of the HTTP filter chain that holds the filter.
pub(super) fn listener(port: u16, headers: &ControlHeaders, canary: Value) -> Value {
    json!({
        "name": "canary",
        "address": super::loopback(port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(headers, canary),
        }]}],
    })
}

fn connection_manager(headers: &ControlHeaders, canary: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "canary",
        "codec_type": "AUTO",
        // Istio's defaults: `.` and `..` are resolved, `//` and `%2F` stay; idle streams live on.
        "normalize_path": true,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [access_log(headers)],
        "route_config": {"name": "canary", "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": routes(headers),
        }]},
        "http_filters": [canary, {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
    })
}

fn routes(headers: &ControlHeaders) -> Vec<Value> {
    headers.cluster().map(steered).into_iter().chain([native()]).collect()
}

/// Where the filter decided: the cluster that the header names, which no upstream gets to see.
fn steered(header: &str) -> Value {
    json!({
        "name": "steered",
        "match": {"prefix": "/", "headers": [{"name": header, "present_match": true}]},
        "route": {"cluster_header": header, "timeout": "0s"},
        "request_headers_to_remove": [header],
    })
}

/// Stands in for the proxy's own routes: what the filter leaves untouched ends here.
fn native() -> Value {
    json!({"name": "native", "match": {"prefix": "/"}, "route": {"cluster": NATIVE_CLUSTER, "timeout": "0s"}})
}

/// One JSON object a request on standard output; `run` makes a readable line of it.
fn access_log(headers: &ControlHeaders) -> Value {
    let header = |name: Option<&str>| name.map_or("-".to_owned(), |name| format!("%REQ({name})%"));
    json!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": {
                "time": "%START_TIME(%H:%M:%S.%3f)%",
                "method": "%REQ(:METHOD)%",
                "authority": "%REQ(:AUTHORITY)%",
                "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                "version": header(headers.version()),
                "steered_to": header(headers.cluster()),
                "cluster": "%UPSTREAM_CLUSTER_RAW%",
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                "duration_ms": "%DURATION%",
            }},
        },
    })
}
