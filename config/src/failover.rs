//! Failover clusters: a version's cluster, followed by those of the versions that serve when it cannot.
//!
//! The proxy tries the members in order. `canaryctl` writes these clusters; the filter names them where
//! [`Clusters::failover`](crate::Clusters::failover) says that they are there. Both take names and ports from here.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::{Policy, Protocol};
use crate::{Config, DestinationKey};

/// The port in the name of a cluster for which the port does not matter.
const ANY_PORT: u16 = 80;
/// The most ports of a service for which clusters are named when a document is loaded.
pub const MAX_NAMED_PORTS: usize = 16;
/// How the name of a failover cluster begins; the name of its first member follows.
pub const FAILOVER_PREFIX: &str = "failover|";

/// A failover cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverCluster {
    /// Its name: `failover|outbound|9080|v2|reviews.default.svc.cluster.local`.
    pub name: String,
    /// The versions' host, by its full name.
    pub host: String,
    /// The version that is tried first; `None` is the service as a whole.
    pub subset: Option<String>,
    /// The port of its members; of no meaning where their names have none.
    pub port: u16,
    /// The names of the members' clusters, in the order in which they are tried.
    pub members: Vec<String>,
}

/// The name of the failover cluster of a version, by that of its own cluster. It says nothing of the order after it, so that
/// another order takes effect in place.
#[must_use]
pub fn failover_name(own: &str) -> String {
    format!("{FAILOVER_PREFIX}{own}")
}

impl Config {
    /// The failover clusters of a document, by name: one for each version that a rule, a policy or an override can pick, and each
    /// of its ports, where a policy has another version to try. A destination whose port only the request says has none.
    #[must_use]
    pub fn failover_clusters(&self) -> Vec<FailoverCluster> {
        let mut clusters = BTreeMap::new();
        for key in self.route_destinations() {
            let Some(policy) = self.policy_of(&key.host).filter(|policy| !policy.fallback.is_empty()) else { continue };
            let picked = self.versions_picked(&key.host).into_iter().map(Some);
            for subset in std::iter::once(key.subset.clone()).chain(picked) {
                for cluster in self.failover_clusters_of(&key, policy, subset.as_deref()) {
                    clusters.insert(cluster.name.clone(), cluster);
                }
            }
        }
        clusters.into_values().collect()
    }

    /// Those of one version of a destination's host.
    #[must_use]
    pub fn failover_clusters_of(
        &self,
        key: &DestinationKey,
        policy: &Policy,
        subset: Option<&str>,
    ) -> Vec<FailoverCluster> {
        let others: Vec<&str> = policy.after(subset).collect();
        if others.is_empty() {
            return Vec::new();
        }
        let name = |subset: Option<&str>, port| self.clusters.name(&key.host, subset, port);
        let cluster = |port| {
            let own = name(subset, port);
            let members = others.iter().map(|other| name(Some(other), port));
            FailoverCluster {
                name: failover_name(&own),
                host: key.host.clone(),
                subset: subset.map(str::to_owned),
                port,
                members: std::iter::once(own.clone()).chain(members).collect(),
            }
        };
        self.named_ports(key, subset).into_iter().map(cluster).collect()
    }

    /// The hosts whose policy has a fallback order, but whose clusters have no name before a request says its port: they have no
    /// failover clusters.
    #[must_use]
    pub fn hosts_without_failover(&self) -> BTreeSet<String> {
        let has_order = |host: &str| self.policy_of(host).is_some_and(|policy| !policy.fallback.is_empty());
        let keys = self.route_destinations().into_iter().filter(|key| has_order(&key.host));
        keys.filter(|key| self.named_ports(key, key.subset.as_deref()).is_empty()).map(|key| key.host).collect()
    }

    /// The headers that tell upstreams which version of a host they are, and in requests of which protocol: the filter's own, and
    /// that in which clients name one.
    pub fn version_headers(&self, host: &str) -> impl Iterator<Item = (&str, Protocol)> {
        let own = self.headers.version().map(|name| (name, Protocol::Any));
        let of_policy = self.policy_of(host).and_then(|policy| policy.version_header.as_ref());
        own.into_iter().chain(of_policy.map(|header| (header.name.as_str(), header.protocol)))
    }

    /// The most versions that may be tried after the one that was picked, over all policies.
    #[must_use]
    pub fn longest_fallback(&self) -> usize {
        self.policies.iter().map(|policy| policy.fallback.len()).max().unwrap_or_default()
    }

    /// The ports for which the clusters of a version have names when the document is loaded.
    fn named_ports(&self, key: &DestinationKey, subset: Option<&str>) -> Vec<u16> {
        match key.port {
            Some(port) => vec![port],
            None if !self.clusters.needs_port(&key.host, subset) => vec![ANY_PORT],
            None => {
                let service = self.services.iter().find(|service| service.host == key.host);
                service.map(|service| service.ports.iter().copied().take(MAX_NAMED_PORTS).collect()).unwrap_or_default()
            }
        }
    }

    /// The destinations of every rule that forwards, without mirrors.
    fn route_destinations(&self) -> BTreeSet<DestinationKey> {
        let mut keys = BTreeSet::new();
        for resolved in self.virtual_services.iter().flat_map(|service| self.rules_of(service)) {
            keys.extend(resolved.rule.route.iter().map(|to| self.destination_key(&to.destination, resolved.namespace)));
        }
        keys
    }
}

impl Policy {
    /// The versions that are tried after a version, in order.
    pub fn after<'p>(&'p self, subset: Option<&'p str>) -> impl Iterator<Item = &'p str> {
        self.fallback.iter().map(String::as_str).filter(move |other| Some(*other) != subset)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOST: &str = "reviews.default.svc.cluster.local";

    /// The members of each failover cluster, their host cut to `R`.
    fn members(destinations: Value, more: Value) -> Vec<String> {
        let mut document = json!({
            "virtualServices": [{"hosts": ["reviews"], "http": [{"route": destinations}]}],
            "policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}],
            "services": [{"host": "reviews", "ports": [9080]}],
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let clusters = Config::read(&document).unwrap().0.failover_clusters();
        let short = |cluster: FailoverCluster| {
            assert_eq!((&*cluster.host, &*cluster.name), (HOST, &*failover_name(&cluster.members[0])));
            cluster.members.join(" ").replace(HOST, "R").replace("outbound|", "")
        };
        clusters.into_iter().map(short).collect()
    }

    #[test]
    fn every_pick_with_another_version_has_one_for_each_of_its_ports() {
        let to = |subset: Option<&str>, port: Option<u16>| {
            let port = port.map(|port| json!({"number": port}));
            json!({"weight": 1, "destination": {"host": "reviews", "subset": subset, "port": port}})
        };
        let only = |subset: Option<&str>| json!([to(subset, None)]);
        let default_v1 = || json!([{"hosts": ["reviews"], "defaultSubset": "v1"}]);
        let subsets = json!([{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v4"}]}]);
        let unnumbered = json!({"template": "{service}-{subset}", "names": {"reviews/v1": "old"}});
        let two_ports = json!([{"host": "reviews", "ports": [80, 81]}]);
        for (row, destinations, more, expected) in [
            (
                "a rule's version and those of the order",
                only(Some("v3")),
                json!({}),
                vec!["9080|v1|R 9080|v2|R", "9080|v2|R 9080|v1|R", "9080|v3|R 9080|v2|R 9080|v1|R"],
            ),
            ("the default alone", only(Some("v3")), json!({"policies": default_v1()}), vec!["9080|v3|R 9080|v1|R"]),
            ("a default with nothing after it", only(Some("v1")), json!({"policies": default_v1()}), vec![]),
            (
                "subsets that only DestinationRules define",
                only(Some("v1")),
                json!({"destinationRules": subsets}),
                vec!["9080|v1|R 9080|v2|R", "9080|v2|R 9080|v1|R", "9080|v4|R 9080|v2|R 9080|v1|R"],
            ),
            ("the service as a whole", only(None), json!({"policies": default_v1()}), vec!["9080||R 9080|v1|R"]),
            (
                "two ports, and a destination's own",
                json!([to(Some("v3"), None), to(Some("v3"), Some(7))]),
                json!({"services": two_ports, "policies": default_v1()}),
                vec!["7|v3|R 7|v1|R", "80|v3|R 80|v1|R", "81|v3|R 81|v1|R"],
            ),
            ("a port that only the request says", only(Some("v3")), json!({"services": []}), vec![]),
            (
                "names without a port",
                only(Some("v3")),
                json!({"services": [], "clusters": unnumbered, "policies": default_v1()}),
                vec!["reviews-v3 old"],
            ),
            ("no order", only(Some("v3")), json!({"policies": []}), vec![]),
        ] {
            assert_eq!(members(destinations, more), expected, "{row}");
        }
    }
}
