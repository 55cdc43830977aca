//! A DestinationRule's `trafficPolicy`, read as far as one Envoy can carry it out.
//!
//! What the fields mean is istiod's (`pilot/pkg/networking/core/cluster_traffic_policy.go`): of `connectionPool`,
//! `loadBalancer` and `outlierDetection` a subset's own section replaces the rule's as a whole, 0 is unset, and limits
//! that nobody sets are none. Both spellings of a field are read.

use std::{collections::BTreeMap, fmt, time::Duration};

use canary_config::{Config, duration};
use serde_json::Value;

use super::remark::Remark;

/// Istio's `meshConfig.connectTimeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest duration that Istio accepts anywhere.
const SHORTEST: Duration = Duration::from_millis(1);

/// What becomes part of a cluster. `None` is "no limit", or Envoy's default where Istio has no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrafficPolicy {
    pub(super) connect_timeout: Duration,
    pub(super) max_connections: Option<u32>,
    pub(super) max_pending_requests: Option<u32>,
    pub(super) max_requests: Option<u32>,
    pub(super) max_requests_per_connection: Option<u32>,
    pub(super) max_retries: Option<u32>,
    pub(super) idle_timeout: Option<Duration>,
    /// Envoy's `lb_policy`.
    pub(super) lb_policy: &'static str,
    pub(super) outlier_detection: Option<OutlierDetection>,
}

impl Default for TrafficPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            max_connections: None,
            max_pending_requests: None,
            max_requests: None,
            max_requests_per_connection: None,
            max_retries: None,
            idle_timeout: None,
            lb_policy: "LEAST_REQUEST",
            outlier_detection: None,
        }
    }
}

/// `trafficPolicy.outlierDetection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutlierDetection {
    pub(super) consecutive_5xx_errors: Option<u32>,
    pub(super) consecutive_gateway_errors: Option<u32>,
    pub(super) interval: Option<Duration>,
    pub(super) base_ejection_time: Option<Duration>,
    pub(super) max_ejection_percent: Option<u32>,
    /// Below this share of healthy hosts Envoy's panic threshold lets all serve again.
    pub(super) min_health_percent: u32,
}

/// A policy, and what there is to say about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) policy: TrafficPolicy,
    /// Valid fields that have no effect here.
    pub(crate) ignored: Vec<Remark>,
    /// Fields whose values cannot be used.
    pub(crate) errors: Vec<Remark>,
}

impl Reading {
    /// The policy of a version of a host, by a document: that of its DestinationRule, then its subset's.
    pub(crate) fn of_version(config: &Config, document: &Value, host: &str, subset: Option<&str>) -> Self {
        let mut reading = Self::default();
        let rules = config.destination_rules_for(host);
        let of_host = rules.iter().find_map(|rule| rule.traffic_policy.as_ref());
        let own = rules.iter().find_map(|rule| {
            let subset = rule.subsets.iter().find(|defined| Some(defined.name.as_str()) == subset)?;
            subset.traffic_policy.as_ref()
        });
        for at in [of_host, own].into_iter().flatten() {
            if let Some(policy) = document.pointer(at) {
                reading.apply(at, policy);
            }
        }
        reading
    }

    /// Reads a `trafficPolicy` at JSON pointer `at`; its sections replace those read before.
    pub(crate) fn apply(&mut self, at: &str, policy: &Value) {
        let mut fields = self.fields(at, policy);
        if let Some(pool) = fields.take("connectionPool") {
            self.connection_pool(&pool);
        }
        if let Some(balancer) = fields.take("loadBalancer") {
            self.load_balancer(&balancer);
        }
        if let Some(detection) = fields.take("outlierDetection") {
            self.outlier_detection(&detection);
        }
        self.ignore_rest(fields);
    }

    fn connection_pool(&mut self, pool: &Field<'_>) {
        let unset = TrafficPolicy::default();
        let mut fields = self.fields(&pool.at, pool.value);
        let mut tcp = fields.take("tcp").map(|tcp| self.fields(&tcp.at, tcp.value)).unwrap_or_default();
        self.policy.max_connections = self.limit(tcp.take("maxConnections"));
        self.policy.connect_timeout = self.duration(tcp.take("connectTimeout")).unwrap_or(unset.connect_timeout);
        let mut http = fields.take("http").map(|http| self.fields(&http.at, http.value)).unwrap_or_default();
        self.policy.max_pending_requests = self.limit(http.take("http1MaxPendingRequests"));
        self.policy.max_requests = self.limit(http.take("http2MaxRequests"));
        self.policy.max_requests_per_connection = self.limit(http.take("maxRequestsPerConnection"));
        self.policy.max_retries = self.limit(http.take("maxRetries"));
        self.policy.idle_timeout = self.duration(http.take("idleTimeout"));
        for rest in [tcp, http, fields] {
            self.ignore_rest(rest);
        }
    }

    fn load_balancer(&mut self, balancer: &Field<'_>) {
        self.policy.lb_policy = TrafficPolicy::default().lb_policy;
        let mut fields = self.fields(&balancer.at, balancer.value);
        if let Some(simple) = fields.take("simple") {
            match simple.value.as_str() {
                Some("UNSPECIFIED" | "LEAST_REQUEST" | "LEAST_CONN") => {}
                Some("ROUND_ROBIN") => self.policy.lb_policy = "ROUND_ROBIN",
                Some("RANDOM") => self.policy.lb_policy = "RANDOM",
                Some("PASSTHROUGH") => self.ignore(simple.at),
                _ => self.refuse(simple, "must be ROUND_ROBIN, LEAST_REQUEST, RANDOM or PASSTHROUGH"),
            }
        }
        self.ignore_rest(fields);
    }

    fn outlier_detection(&mut self, detection: &Field<'_>) {
        let mut fields = self.fields(&detection.at, detection.value);
        self.policy.outlier_detection = Some(OutlierDetection {
            consecutive_5xx_errors: self.number(fields.take("consecutive5xxErrors"), u32::MAX),
            consecutive_gateway_errors: self.number(fields.take("consecutiveGatewayErrors"), u32::MAX),
            interval: self.duration(fields.take("interval")),
            base_ejection_time: self.duration(fields.take("baseEjectionTime")),
            max_ejection_percent: self.number(fields.take("maxEjectionPercent"), 100).filter(|percent| *percent > 0),
            min_health_percent: self.number(fields.take("minHealthPercent"), 100).unwrap_or(0),
        });
        self.ignore_rest(fields);
    }

    fn fields<'v>(&mut self, at: &str, value: &'v Value) -> Fields<'v> {
        match value {
            Value::Object(map) => {
                let set = map.iter().filter(|(_, value)| !value.is_null());
                let by_name = set.map(|(key, value)| (camel_case(key), Field { at: format!("{at}/{key}"), value }));
                Fields(by_name.collect())
            }
            Value::Null => Fields::default(),
            _ => {
                self.refuse(Field { at: at.to_owned(), value }, "must be an object");
                Fields::default()
            }
        }
    }

    /// A limit: 0 is none, as in Istio.
    fn limit(&mut self, field: Option<Field<'_>>) -> Option<u32> {
        self.number(field, u32::MAX).filter(|limit| *limit > 0)
    }

    fn number(&mut self, field: Option<Field<'_>>, most: u32) -> Option<u32> {
        let field = field?;
        let number = field.value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            self.refuse(field, format_args!("must be a whole number from 0 to {most}"));
        }
        number
    }

    fn duration(&mut self, field: Option<Field<'_>>) -> Option<Duration> {
        let field = field?;
        let duration = field.value.as_str().and_then(duration::parse).filter(|duration| *duration >= SHORTEST);
        if duration.is_none() {
            self.refuse(field, "must be a duration of at least 1ms, such as 10s");
        }
        duration
    }

    fn refuse(&mut self, field: Field<'_>, must: impl fmt::Display) {
        self.errors.push(Remark::new(field.at, format!("{must}, not {}", field.value)));
    }

    fn ignore(&mut self, at: String) {
        self.ignored.push(Remark::new(at, "not carried out by run"));
    }

    fn ignore_rest(&mut self, fields: Fields<'_>) {
        for field in fields.0.into_values() {
            self.ignore(field.at);
        }
    }
}

struct Field<'v> {
    /// Path as the document spells it.
    at: String,
    value: &'v Value,
}

/// The fields of one object that are set, by their camelCase names.
#[derive(Default)]
struct Fields<'v>(BTreeMap<String, Field<'v>>);

impl<'v> Fields<'v> {
    fn take(&mut self, name: &str) -> Option<Field<'v>> {
        self.0.remove(name)
    }
}

/// `max_connections` → `maxConnections`; what is camelCase already stays.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// A duration as protobuf's JSON writes it.
pub(super) fn proto_duration(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanos => format!("{}.{nanos:09}s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(policies: &[Value]) -> Reading {
        let mut reading = Reading::default();
        for policy in policies {
            reading.apply("/p", policy);
        }
        reading
    }

    fn texts(remarks: &[Remark]) -> Vec<String> {
        remarks.iter().map(|remark| format!("{}: {}", remark.at, remark.text)).collect()
    }

    #[test]
    fn sections_become_what_istiod_makes_of_them() {
        let unset = TrafficPolicy::default;
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let pool = json!({"connectionPool": {
            "tcp": {"maxConnections": 7, "connectTimeout": "2s"},
            "http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 2, "maxRequestsPerConnection": 3,
                     "maxRetries": 4, "idleTimeout": "5s"},
        }});
        let pool_in_snake_case = json!({"connection_pool": {
            "tcp": {"max_connections": 7, "connect_timeout": "2s"},
            "http": {"http1_max_pending_requests": 1, "http2_max_requests": 2, "max_requests_per_connection": 3,
                     "max_retries": 4, "idle_timeout": "5s"},
        }});
        let pooled = TrafficPolicy {
            connect_timeout: Duration::from_secs(2),
            max_connections: Some(7),
            max_pending_requests: Some(1),
            max_requests: Some(2),
            max_requests_per_connection: Some(3),
            max_retries: Some(4),
            idle_timeout: seconds(5),
            ..unset()
        };
        let detection = json!({"outlierDetection": {
            "consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3, "interval": "1s", "baseEjectionTime": "1m30s",
            "maxEjectionPercent": 100, "minHealthPercent": 10,
        }});
        let detected = OutlierDetection {
            consecutive_5xx_errors: Some(0),
            consecutive_gateway_errors: Some(3),
            interval: seconds(1),
            base_ejection_time: seconds(90),
            max_ejection_percent: Some(100),
            min_health_percent: 10,
        };
        let snake_detection = json!({"outlier_detection": {"consecutive_5xx_errors": 2}});
        let snake_detected = OutlierDetection { consecutive_5xx_errors: Some(2), ..OutlierDetection::default() };
        let balancer = |simple: &str| json!({"loadBalancer": {"simple": simple}});
        for (name, policies, expected) in [
            ("nothing", vec![], unset()),
            ("connection pool", vec![pool.clone()], pooled.clone()),
            ("connection pool in snake case", vec![pool_in_snake_case], pooled.clone()),
            ("0 is no limit", vec![json!({"connectionPool": {"tcp": {"maxConnections": 0}}})], unset()),
            ("null is unset", vec![json!({"connectionPool": null, "loadBalancer": {"simple": null}})], unset()),
            ("round robin", vec![balancer("ROUND_ROBIN")], TrafficPolicy { lb_policy: "ROUND_ROBIN", ..unset() }),
            ("random", vec![balancer("RANDOM")], TrafficPolicy { lb_policy: "RANDOM", ..unset() }),
            ("least connections", vec![balancer("LEAST_CONN")], unset()),
            (
                "outlier detection",
                vec![detection],
                TrafficPolicy { outlier_detection: Some(detected.clone()), ..unset() },
            ),
            (
                "outlier detection in snake case",
                vec![snake_detection],
                TrafficPolicy { outlier_detection: Some(snake_detected), ..unset() },
            ),
            (
                "a subset's section replaces the rule's as a whole",
                vec![pool.clone(), json!({"connectionPool": {"tcp": {"maxConnections": 9}}})],
                TrafficPolicy { max_connections: Some(9), ..unset() },
            ),
            (
                "sections that the subset is silent about stay",
                vec![pool, balancer("RANDOM")],
                TrafficPolicy { lb_policy: "RANDOM", ..pooled },
            ),
        ] {
            assert_eq!(read(&policies), Reading { policy: expected, ..Reading::default() }, "{name}");
        }
    }

    #[test]
    fn what_has_no_effect_and_what_is_wrong_is_named() {
        let ignored = json!({
            "tls": {"mode": "ISTIO_MUTUAL"},
            "port_level_settings": [],
            "connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}, "tcp": {"tcpKeepalive": {}}},
            "loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}},
            "outlierDetection": {"consecutiveErrors": 3},
        });
        let passthrough = json!({"loadBalancer": {"simple": "PASSTHROUGH"}});
        let wrong = json!({
            "connectionPool": {"tcp": {"maxConnections": -1, "connectTimeout": "2"}, "http": [1]},
            "loadBalancer": {"simple": "FASTEST"},
            "outlierDetection": {"maxEjectionPercent": 101, "interval": "0s"},
        });
        let not_carried_out = |at: &str| format!("/p/{at}: not carried out by run");
        for (name, policy, expected_ignored, expected_errors) in [
            (
                "ignored",
                ignored,
                vec![
                    not_carried_out("connectionPool/tcp/tcpKeepalive"),
                    not_carried_out("connectionPool/http/h2UpgradePolicy"),
                    not_carried_out("loadBalancer/consistentHash"),
                    not_carried_out("outlierDetection/consecutiveErrors"),
                    not_carried_out("port_level_settings"),
                    not_carried_out("tls"),
                ],
                vec![],
            ),
            ("pass-through", passthrough, vec![not_carried_out("loadBalancer/simple")], vec![]),
            (
                "wrong",
                wrong,
                vec![],
                vec![
                    "/p/connectionPool/tcp/maxConnections: must be a whole number from 0 to 4294967295, not -1".to_owned(),
                    "/p/connectionPool/tcp/connectTimeout: must be a duration of at least 1ms, such as 10s, not \"2\""
                        .to_owned(),
                    "/p/connectionPool/http: must be an object, not [1]".to_owned(),
                    "/p/loadBalancer/simple: must be ROUND_ROBIN, LEAST_REQUEST, RANDOM or PASSTHROUGH, not \"FASTEST\""
                        .to_owned(),
                    "/p/outlierDetection/interval: must be a duration of at least 1ms, such as 10s, not \"0s\"".to_owned(),
                    "/p/outlierDetection/maxEjectionPercent: must be a whole number from 0 to 100, not 101".to_owned(),
                ],
            ),
        ] {
            let reading = read(&[policy]);
            assert_eq!(texts(&reading.ignored), expected_ignored, "{name}");
            assert_eq!(texts(&reading.errors), expected_errors, "{name}");
        }
    }

    #[test]
    fn durations_are_written_as_protobuf_reads_them() {
        for (millis, text) in [(10_000, "10s"), (1_500, "1.500000000s"), (1, "0.001000000s")] {
            assert_eq!(proto_duration(Duration::from_millis(millis)), text);
        }
    }
}
