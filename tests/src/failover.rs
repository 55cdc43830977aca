//! Failover clusters and their routes in an Envoy of the tests, as `canaryctl` writes them.

use canary_config::{Config, FailoverCluster, Protocol};
use serde_json::{Value, json};

/// The kind of the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// In every Envoy.
    Aggregate,
    /// From Envoy 1.40 on.
    Composite,
}

/// Entries of a composite cluster: as many as a request may have tries.
const TRIES: usize = 8;

impl Failover {
    /// The kinds that an Envoy of this version supports, such as `1.40.0`.
    #[must_use]
    pub fn of_version(version: &str) -> &'static [Self] {
        let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_default();
        if minor >= 40 { &[Self::Aggregate, Self::Composite] } else { &[Self::Aggregate] }
    }

    /// The kind that `canaryctl run` uses for an Envoy of this version.
    #[must_use]
    pub fn newest(version: &str) -> Self {
        Self::of_version(version).last().copied().unwrap_or(Self::Aggregate)
    }

    /// The failover clusters of a configuration. Each try names its version to the upstream, by every header that the
    /// configuration names. `None` if the configuration is rejected.
    #[must_use]
    pub fn clusters(self, document: &Value) -> Option<Vec<Value>> {
        let (config, _) = Config::read(document).ok()?;
        let clusters = config.failover_clusters();
        let cluster = |cluster| self.cluster(cluster, &filters(config.version_headers(&cluster.host)));
        Some(clusters.iter().map(cluster).collect())
    }

    fn cluster(self, cluster: &FailoverCluster, filters: &Value) -> Value {
        let (kind, entries): (_, Vec<Value>) = match self {
            Self::Aggregate => ("aggregate", cluster.members.iter().map(|name| json!(name)).collect()),
            Self::Composite => {
                let names = cluster.members.iter().cycle().take(TRIES);
                ("composite", names.map(|name| json!({"name": name})).collect())
            }
        };
        json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": cluster.name,
            "lb_policy": "CLUSTER_PROVIDED",
            "circuit_breakers": {"thresholds": [{"max_retries": u32::MAX}]},
            "cluster_type": {
                "name": format!("envoy.clusters.{kind}"),
                "typed_config": {
                    "@type": format!("type.googleapis.com/envoy.extensions.clusters.{kind}.v3.ClusterConfig"),
                    "clusters": entries,
                },
            },
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": filters,
            }},
        })
    }

    /// Retries of requests that no upstream has got. Each try uses the next member.
    #[must_use]
    pub fn retry_policy(self, retries: u32) -> Value {
        let mut policy =
            json!({"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": retries});
        if self == Self::Aggregate {
            policy["retry_priority"] = json!({
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    "update_frequency": 1,
                },
            });
        }
        policy
    }
}

/// The filters of a cluster that set the version header, in requests of the header's protocol.
fn filters<'h>(headers: impl Iterator<Item = (&'h str, Protocol)>) -> Value {
    let version = "xds.upstream_host_metadata.filter_metadata['canary']['version']";
    let is_grpc = "'content-type' in request.headers && request.headers['content-type'].startsWith('application/grpc')";
    let mutation = |(header, protocol): (&str, Protocol)| {
        let value = match protocol {
            Protocol::Any => "%UPSTREAM_METADATA(canary:version)%".to_owned(),
            Protocol::Grpc => format!("%CEL({is_grpc} ? {version} : '')%"),
            Protocol::Http => format!("%CEL({is_grpc} ? '' : {version})%"),
        };
        json!({"append": {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS"}})
    };
    let mutations: Vec<_> = headers.map(mutation).collect();
    json!([
        {
            "name": "canary-served",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"request_mutations": mutations},
            },
        },
        upstream_codec(),
    ])
}

/// The metadata of an endpoint in a cluster with one of Istio's names.
#[must_use]
pub fn metadata(cluster: &str) -> Value {
    match cluster.split('|').nth(2) {
        Some(version) if !version.is_empty() => json!({"filter_metadata": {"canary": {"version": version}}}),
        _ => json!({}),
    }
}

/// The last of them.
fn upstream_codec() -> Value {
    json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
    })
}
