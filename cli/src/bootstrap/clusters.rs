//! One Envoy cluster for each version that the configuration can send a request to.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::names::METADATA;
use super::traffic_policy::{OutlierDetection, TrafficPolicy, proto_duration};
use crate::address::HostPort;

/// A member of an aggregate cluster gives requests away once fewer of its endpoints are healthy than this factor makes up for:
/// so high, none while there is one.
const NEVER_SPILL: u32 = 100_000;

/// A cluster of one endpoint, with the traffic policy carried out as istiod does. `metadata` is what the endpoint says of itself.
pub(crate) fn cluster(name: &str, endpoint: &HostPort, policy: &TrafficPolicy, metadata: Option<Value>) -> Value {
    let mut cluster = Map::new();
    let mut set = |field: &str, value: Value| cluster.insert(field.to_owned(), value);
    set("name", json!(name));
    let discovery = if endpoint.host().parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    set("type", json!(discovery));
    set("connect_timeout", json!(proto_duration(policy.connect_timeout)));
    set("lb_policy", json!(policy.lb_policy));
    set("circuit_breakers", circuit_breakers(policy));
    set("typed_extension_protocol_options", protocol_options(policy));
    set("load_assignment", load_assignment(name, endpoint, metadata));
    if let Some(outlier) = &policy.outlier_detection {
        set("outlier_detection", outlier_detection(outlier));
        set("common_lb_config", json!({"healthy_panic_threshold": {"value": outlier.min_health_percent}}));
    }
    Value::Object(cluster)
}

fn load_assignment(name: &str, endpoint: &HostPort, metadata: Option<Value>) -> Value {
    let address = json!({"socket_address": {"address": endpoint.host(), "port_value": endpoint.port()}});
    let Some(metadata) = metadata else {
        return json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]});
    };
    json!({
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}, "metadata": {"filter_metadata": {METADATA: metadata}}}]}],
        "policy": {"overprovisioning_factor": NEVER_SPILL},
    })
}

/// Istio's default is no limit, where Envoy's would be 1024 connections and requests, and 3 retries.
fn circuit_breakers(policy: &TrafficPolicy) -> Value {
    let limit = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
    json!({"thresholds": [{
        "max_connections": limit(policy.max_connections),
        "max_pending_requests": limit(policy.max_pending_requests),
        "max_requests": limit(policy.max_requests),
        "max_retries": limit(policy.max_retries),
        "track_remaining": true,
    }]})
}

/// The upstream is spoken to as the client spoke, so that gRPC passes as well as HTTP/1.1.
fn protocol_options(policy: &TrafficPolicy) -> Value {
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
    });
    let mut common = Map::new();
    if let Some(timeout) = policy.idle_timeout {
        common.insert("idle_timeout".to_owned(), json!(proto_duration(timeout)));
    }
    if let Some(requests) = policy.max_requests_per_connection {
        common.insert("max_requests_per_connection".to_owned(), json!(requests));
    }
    if let (false, Some(fields)) = (common.is_empty(), options.as_object_mut()) {
        fields.insert("common_http_protocol_options".to_owned(), Value::Object(common));
    }
    json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options})
}

/// As istiod: success rates never eject, and a number of errors given as 0 turns that detection off.
fn outlier_detection(outlier: &OutlierDetection) -> Value {
    let mut detection = Map::new();
    let mut set = |field: &str, value: Value| detection.insert(field.to_owned(), value);
    let enforcing = |errors: u32| if errors == 0 { 0 } else { 100 };
    set("enforcing_success_rate", json!(0));
    if let Some(errors) = outlier.consecutive_5xx_errors {
        set("consecutive_5xx", json!(errors));
        set("enforcing_consecutive_5xx", json!(enforcing(errors)));
    }
    if let Some(errors) = outlier.consecutive_gateway_errors {
        set("consecutive_gateway_failure", json!(errors));
        set("enforcing_consecutive_gateway_failure", json!(enforcing(errors)));
    }
    if let Some(interval) = outlier.interval {
        set("interval", json!(proto_duration(interval)));
    }
    if let Some(time) = outlier.base_ejection_time {
        set("base_ejection_time", json!(proto_duration(time)));
    }
    if let Some(percent) = outlier.max_ejection_percent {
        set("max_ejection_percent", json!(percent));
    }
    Value::Object(detection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn field(policy: &TrafficPolicy, pointer: &str) -> Value {
        let cluster = cluster("reviews-v1", &HostPort::loopback(9080), policy, None);
        cluster.pointer(pointer).cloned().unwrap_or_default()
    }

    #[test]
    fn a_policy_becomes_the_clusters_as_istiod_writes_it() {
        let unset = TrafficPolicy::default;
        let detection = |detection| TrafficPolicy { outlier_detection: Some(detection), ..unset() };
        let limited = TrafficPolicy {
            max_connections: Some(1),
            max_pending_requests: Some(2),
            max_requests: Some(3),
            max_retries: Some(4),
            max_requests_per_connection: Some(5),
            idle_timeout: Some(Duration::from_millis(1500)),
            connect_timeout: Duration::from_secs(2),
            lb_policy: "RANDOM",
            ..unset()
        };
        let strict = OutlierDetection {
            consecutive_5xx_errors: Some(0),
            consecutive_gateway_errors: Some(3),
            interval: Some(Duration::from_secs(1)),
            base_ejection_time: Some(Duration::from_secs(30)),
            max_ejection_percent: Some(100),
            min_health_percent: 20,
        };
        let protocol = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let common = format!("{protocol}/common_http_protocol_options");
        let unlimited = u32::MAX;
        for (name, policy, pointer, expected) in [
            (
                "no limits by default",
                unset(),
                "/circuit_breakers/thresholds/0",
                json!({"max_connections": unlimited, "max_pending_requests": unlimited, "max_requests": unlimited,
                       "max_retries": unlimited, "track_remaining": true}),
            ),
            ("Istio's connect timeout", unset(), "/connect_timeout", json!("10s")),
            ("Istio's load balancing", unset(), "/lb_policy", json!("LEAST_REQUEST")),
            ("no outlier detection", unset(), "/outlier_detection", Value::Null),
            ("Envoy's own idle timeout", unset(), &common, Value::Null),
            (
                "limits",
                limited.clone(),
                "/circuit_breakers/thresholds/0",
                json!({"max_connections": 1, "max_pending_requests": 2, "max_requests": 3, "max_retries": 4,
                       "track_remaining": true}),
            ),
            ("connect timeout", limited.clone(), "/connect_timeout", json!("2s")),
            ("load balancing", limited.clone(), "/lb_policy", json!("RANDOM")),
            (
                "per connection",
                limited,
                &common,
                json!({"idle_timeout": "1.500000000s", "max_requests_per_connection": 5}),
            ),
            (
                "outlier detection",
                detection(strict.clone()),
                "/outlier_detection",
                json!({"enforcing_success_rate": 0, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
                       "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100,
                       "interval": "1s", "base_ejection_time": "30s", "max_ejection_percent": 100}),
            ),
            (
                "outlier detection without numbers",
                detection(OutlierDetection::default()),
                "/outlier_detection",
                json!({"enforcing_success_rate": 0}),
            ),
            ("panic threshold", detection(strict), "/common_lb_config/healthy_panic_threshold/value", json!(20)),
        ] {
            assert_eq!(field(&policy, pointer), expected, "{name}");
        }
    }

    #[test]
    fn names_are_resolved_and_addresses_are_not() {
        for (endpoint, discovery, address) in
            [("127.0.0.1:1", "STATIC", "127.0.0.1"), ("[::1]:1", "STATIC", "::1"), ("db:1", "STRICT_DNS", "db")]
        {
            let cluster = cluster("c", &endpoint.parse().unwrap(), &TrafficPolicy::default(), None);
            assert_eq!(cluster["type"], discovery, "{endpoint}");
            let socket = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
            assert_eq!(cluster.pointer(socket), Some(&json!({"address": address, "port_value": 1})), "{endpoint}");
        }
    }
}
