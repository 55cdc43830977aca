//! Failover clusters in Envoy's words, and the retries by which a request goes through one.

use canary_config::{Config, FailoverCluster, REPEATS_NOTHING};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::traffic_policy::TrafficPolicy;

/// The kind of Envoy's clusters that goes through its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Failover {
    /// Aggregate clusters, which Envoy has from 1.36 on, and before
    Aggregate,
    /// Composite clusters, from Envoy 1.40 on: they do not look at the share of endpoints that are healthy
    Composite,
}

/// The first version of Envoy whose composite clusters pass over members without endpoints.
const COMPOSITE_SINCE: (u32, u32) = (1, 40);
/// The most tries that a composite cluster has an entry for.
const MAX_TRIES: usize = 32;

impl Failover {
    /// What an Envoy of this version has, such as `1.40.0`.
    pub(crate) fn of_version(version: &str) -> Self {
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or_default());
        let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        if version >= COMPOSITE_SINCE { Self::Composite } else { Self::Aggregate }
    }

    /// The cluster. `policy` is that of the version that is tried first, `filters` run in each try; where there are none, those of
    /// the router do.
    pub(crate) fn cluster(
        self,
        cluster: &FailoverCluster,
        tries: usize,
        policy: &TrafficPolicy,
        filters: Option<&Value>,
    ) -> Value {
        let mut value = json!({
            "name": cluster.name,
            "lb_policy": "CLUSTER_PROVIDED",
            "cluster_type": self.cluster_type(&cluster.members, tries),
            // Connections and requests count in the members; retries count here, without Envoy's limit of 3 at a time.
            "circuit_breakers": {"thresholds": [{"max_retries": policy.max_retries.unwrap_or(u32::MAX)}]},
        });
        if let (Some(filters), Some(fields)) = (filters, value.as_object_mut()) {
            // The protocol is that of the member; Envoy wants one to be named.
            let options = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": filters,
            }});
            fields.insert("typed_extension_protocol_options".to_owned(), options);
        }
        value
    }

    fn cluster_type(self, members: &[String], tries: usize) -> Value {
        let (name, entries): (_, Vec<Value>) = match self {
            Self::Aggregate => ("aggregate", members.iter().map(|name| json!(name)).collect()),
            // One entry for each try: with more tries than members they begin again, as those of an aggregate cluster do.
            Self::Composite => {
                let entries = members.len().max(tries.min(MAX_TRIES));
                ("composite", members.iter().cycle().take(entries).map(|name| json!({"name": name})).collect())
            }
        };
        json!({
            "name": format!("envoy.clusters.{name}"),
            "typed_config": {
                "@type": format!("type.googleapis.com/envoy.extensions.clusters.{name}.v3.ClusterConfig"),
                "clusters": entries,
            },
        })
    }

    /// The fields of a route's retry policy by which each try goes to the next member.
    pub(crate) fn retry_fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        if self == Self::Aggregate {
            fields.insert("retry_priority".to_owned(), json!({
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    "update_frequency": 1,
                },
            }));
        }
        fields
    }

    /// The retry policy of routes to failover clusters; `None` where no policy has a fallback order.
    pub(crate) fn retry_policy(self, config: &Config) -> Option<Value> {
        let retries = config.longest_fallback();
        (retries > 0).then(|| {
            let mut fields = self.retry_fields();
            fields.insert("retry_on".to_owned(), json!(REPEATS_NOTHING.join(",")));
            fields.insert("num_retries".to_owned(), json!(retries));
            Value::Object(fields)
        })
    }
}

/// The most tries that a request of a document may have.
pub(crate) fn tries(config: &Config) -> usize {
    let rules = config.virtual_services.iter().flat_map(|service| &service.http);
    let attempts = rules.filter_map(|rule| usize::try_from(rule.retries.as_ref()?.attempts).ok());
    attempts.chain([config.longest_fallback()]).max().unwrap_or_default().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envoy_has_the_kind_of_its_version() {
        for (version, expected) in [
            ("1.36.4", Failover::Aggregate),
            ("1.39.3", Failover::Aggregate),
            ("1.40.0", Failover::Composite),
            ("1.41.0-dev", Failover::Composite),
            ("2.0.0", Failover::Composite),
            ("unknown", Failover::Aggregate),
        ] {
            assert_eq!(Failover::of_version(version), expected, "{version}");
        }
    }

    #[test]
    fn the_members_stand_in_the_order_in_which_they_are_tried() {
        let cluster = FailoverCluster {
            name: "a>b".to_owned(),
            host: String::new(),
            subset: None,
            port: 80,
            members: ["a", "b"].map(str::to_owned).to_vec(),
        };
        let limited = TrafficPolicy { max_retries: Some(7), ..TrafficPolicy::default() };
        for (row, kind, tries, policy, members, max_retries) in [
            ("aggregate", Failover::Aggregate, 4, TrafficPolicy::default(), json!(["a", "b"]), u32::MAX),
            ("composite", Failover::Composite, 1, limited, json!([{"name": "a"}, {"name": "b"}]), 7),
            (
                "an entry for each try",
                Failover::Composite,
                3,
                TrafficPolicy::default(),
                json!([{"name": "a"}, {"name": "b"}, {"name": "a"}]),
                u32::MAX,
            ),
        ] {
            let found = kind.cluster(&cluster, tries, &policy, None);
            assert_eq!(found.pointer("/cluster_type/typed_config/clusters"), Some(&members), "{row}");
            assert_eq!(found.pointer("/circuit_breakers/thresholds/0/max_retries"), Some(&json!(max_retries)), "{row}");
        }
    }
}
