//! The listener: normalise the path as Istio does, ask the filter, follow the headers it sets.

use std::path::Path;

use canary_config::{ControlHeaders, FaultDelayer};
use serde_json::{Value, json};

use super::{
    discovery::file_source,
    names::ROUTES,
    native::{DECISION_HEADER, FILTER_STATE, NativePart, removals},
    ports::{Ports, socket_address},
    served::upstream_filters,
};

/// A filter that changes headers.
pub(crate) const HEADER_MUTATION: &str =
    "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";

/// Where the connection manager gets its routes from.
pub(super) enum Routes<'a> {
    /// They stand in the listener.
    Inline(Value),
    /// A file that is replaced while Envoy runs.
    File(&'a Path),
}

/// The listener. `canary` is the entry of the HTTP filter chain that holds the filter.
pub(super) fn listener(ports: Ports, native: &NativePart, canary: Value, routes: Routes<'_>) -> Value {
    json!({
        "name": "canary",
        "address": socket_address(ports.address, ports.listener),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(native, canary, routes),
        }]}],
    })
}

fn connection_manager(native: &NativePart, canary: Value, routes: Routes<'_>) -> Value {
    let mut filters = vec![canary];
    if native.faults == FaultDelayer::FaultFilter {
        filters.push(fault_filter());
    }
    filters.push(router(&native.headers));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "canary",
        "codec_type": "AUTO",
        // Istio's defaults: `.` and `..` are resolved, `//` and `%2F` stay; idle streams live on.
        "normalize_path": true,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "early_header_mutation_extensions": [strip(native.reserved_headers())],
        "tracing": {"custom_tags": custom_tags(&native.headers)},
        "access_log": [access_log(&native.headers)],
        "http_filters": filters,
    });
    let (field, value) = match routes {
        Routes::Inline(routes) => ("route_config", routes),
        Routes::File(file) => ("rds", json!({"route_config_name": ROUTES, "config_source": file_source(file)})),
    };
    if let Some(fields) = manager.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    manager
}

/// Before any filter sees the request, headers of these names go. The filter overwrites or removes what a client sends under
/// its control headers by itself; this is a second lock.
pub(crate) fn strip<'n>(names: impl IntoIterator<Item = &'n str>) -> Value {
    json!({
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": removals(names),
        },
    })
}

/// Envoy's own fault filter in header mode: it delays and aborts what the filter tells it to by headers.
pub(crate) fn fault_filter() -> Value {
    json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
            "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
        },
    })
}

/// The configuration of a filter that removes the headers of these names.
pub(crate) fn without_headers<'n>(names: impl IntoIterator<Item = &'n str>) -> Value {
    json!({"@type": HEADER_MUTATION, "mutations": {"request_mutations": removals(names)}})
}

/// The router. The route reads the host header when it rewrites the authority, after it has removed what it is told to
/// remove; an upstream filter runs later still, so it can take that header away. The mirror headers have to stay: Envoy
/// reads them after its upstream filters (1.36 to 1.40).
pub(crate) fn router(headers: &ControlHeaders) -> Value {
    let mut config = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"});
    if let (Some(host), Some(fields)) = (headers.host(), config.as_object_mut()) {
        let filters = upstream_filters("envoy.filters.http.header_mutation", removals([host]));
        fields.insert("upstream_http_filters".to_owned(), filters);
    }
    json!({"name": "envoy.filters.http.router", "typed_config": config})
}

/// Tags of spans: the version, and the whole decision. They are sent once a tracing provider is named.
fn custom_tags(headers: &ControlHeaders) -> Vec<Value> {
    let tag = |(tag, header): (&str, &str)| json!({"tag": tag, "request_header": {"name": header}});
    let version = headers.version().map(|header| ("canary.version", header));
    version.into_iter().chain([("canary.decision", DECISION_HEADER)]).map(tag).collect()
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
                "authority": "%REQ(X-ENVOY-ORIGINAL-HOST?:AUTHORITY)%",
                "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                "canary": FILTER_STATE,
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

#[cfg(test)]
mod tests {
    use canary_config::Config;

    use super::{super::failover::Failover, super::statistics, *};
    use crate::documents::Document;

    #[test]
    fn the_bootstrap_for_readers_has_the_same_native_part() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy-configs/bootstrap.yaml");
        let for_readers = Document::load(file).unwrap().value;
        let policies = json!([{"hosts": ["reviews"], "fallback": ["v1"]}]);
        let config = Config::read(&json!({"faults": {"delay": "faultFilter"}, "policies": policies})).unwrap().0;
        let native = NativePart::of(&config);
        let routes = Routes::Inline(native.routes(&config, &[], Failover::Aggregate));
        let own = connection_manager(&native, json!({}), routes);
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        for place in [
            "/normalize_path",
            "/upgrade_configs",
            "/early_header_mutation_extensions/0/name",
            "/tracing",
            "/http_filters/1",
            "/http_filters/2",
            "/route_config/request_headers_to_add",
            "/route_config/virtual_hosts/0/routes/0",
            "/route_config/virtual_hosts/0/routes/1",
        ] {
            assert!(own.pointer(place).is_some(), "{place}");
            assert_eq!(for_readers.pointer(&format!("{manager}{place}")), own.pointer(place), "{place}");
        }
        assert_eq!(for_readers["stats_config"], statistics::statistics());
        let logged = |manager: &Value, field: &str| {
            manager.pointer(&format!("/access_log/0/typed_config/log_format/json_format/{field}")).cloned()
        };
        for field in ["canary", "cluster", "details", "flags"] {
            let of_readers = logged(for_readers.pointer(manager).unwrap(), field);
            assert!(of_readers.is_some(), "{field}");
            assert_eq!(of_readers, logged(&own, field), "{field}");
        }
        let removed = |manager: &Value| {
            let place = "/early_header_mutation_extensions/0/typed_config/mutations";
            let mutations = manager.pointer(place).and_then(Value::as_array).unwrap();
            let mut names: Vec<_> =
                mutations.iter().map(|mutation| mutation["remove"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(removed(for_readers.pointer(manager).unwrap()), removed(&own));
    }
}
