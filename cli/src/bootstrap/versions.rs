//! The versions of services that a configuration can send requests to, and the names of their clusters.

use std::collections::{BTreeMap, BTreeSet};

use canary_config::{Config, DestinationKey};
use serde_json::{Value, json};

use super::{
    NATIVE_CLUSTER, Remark,
    names::VERSION,
    traffic_policy::{Reading, TrafficPolicy},
};

/// One version of a service: a host and a subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The host's full name.
    pub(crate) host: String,
    /// The subset; `None` for destinations without one.
    pub(crate) subset: Option<String>,
    /// Names of its clusters: one for each port by which it can be reached.
    pub(crate) clusters: Vec<String>,
    /// What the DestinationRules say about connections to it.
    pub(crate) policy: TrafficPolicy,
}

impl Version {
    /// The first label of the host: the name a user knows the service by.
    pub(crate) fn service(&self) -> &str {
        self.host.split('.').next().unwrap_or(&self.host)
    }

    /// The subset's name, or `default`.
    pub(crate) fn name(&self) -> &str {
        self.subset.as_deref().unwrap_or("default")
    }

    /// What its endpoints say of themselves.
    pub(crate) fn metadata(&self) -> Value {
        self.subset.as_ref().map_or_else(|| json!({}), |subset| json!({VERSION: subset}))
    }

    /// As `--upstream` names it: `reviews.default.svc.cluster.local/v2`.
    pub(crate) fn key(&self) -> String {
        match &self.subset {
            Some(subset) => format!("{}/{subset}", self.host),
            None => self.host.clone(),
        }
    }
}

/// What a configuration comes to, as far as clusters go.
#[derive(Debug, Default)]
pub(super) struct Versions {
    pub(super) all: Vec<Version>,
    /// Exact cluster names that the document needs in `clusters.names`: see [`Versions::of`].
    names: BTreeMap<String, String>,
    pub(super) notes: Vec<Remark>,
    pub(super) errors: Vec<Remark>,
}

impl Versions {
    /// Every destination of the rules, and every subset that DestinationRules define for their hosts.
    ///
    /// A destination whose port neither it nor `services` knows goes to the port that the request asks for, which may
    /// be any. One Envoy cannot have a cluster for each, so such a version gets one cluster for all ports, named with
    /// port 0 and made known to the filter by [`Versions::name_in`].
    pub(super) fn of(config: &Config, document: &Value) -> Self {
        let mut versions = Self::default();
        let destinations = config.destinations();
        for (host, subsets) in subsets_by_host(config, &destinations) {
            let ports = known_ports(config, &destinations, host);
            if ports.is_none() {
                versions.name_undefined(config, host, &subsets);
            }
            for subset in subsets {
                let policy = versions.policy(config, document, host, subset);
                versions.add(config, host, subset, ports.as_ref(), policy);
            }
        }
        versions.check_names();
        versions
    }

    fn add(
        &mut self,
        config: &Config,
        host: &str,
        subset: Option<&str>,
        ports: Option<&BTreeSet<u16>>,
        policy: TrafficPolicy,
    ) {
        let name = |port: u16| config.clusters.name(host, subset, port);
        let clusters = match ports {
            Some(ports) if config.clusters.needs_port(host, subset) => ports.iter().copied().map(name).collect(),
            _ => vec![name(0)],
        };
        let version = Version { host: host.to_owned(), subset: subset.map(str::to_owned), clusters, policy };
        if let (None, true, [cluster]) = (ports, config.clusters.needs_port(host, subset), version.clusters.as_slice())
        {
            let text = format!(
                "the port of {} is not known (no entry in services): {cluster} serves every port",
                version.key()
            );
            self.notes.push(Remark::new("/services", text));
            self.names.insert(version.key(), cluster.clone());
        }
        self.all.push(version);
    }

    /// Versions that may be picked though nothing defines them have no cluster, but a name: by it the failover cluster is known.
    fn name_undefined(&mut self, config: &Config, host: &str, defined: &BTreeSet<Option<&str>>) {
        for subset in config.versions_picked(host) {
            let is_named = defined.contains(&Some(subset.as_str())) || !config.clusters.needs_port(host, Some(&subset));
            if !is_named {
                self.names.insert(format!("{host}/{subset}"), config.clusters.name(host, Some(&subset), 0));
            }
        }
    }

    fn policy(&mut self, config: &Config, document: &Value, host: &str, subset: Option<&str>) -> TrafficPolicy {
        let reading = Reading::of_version(config, document, host, subset);
        // What stands at the rule is found once for each of its subsets.
        for (found, all) in [(reading.ignored, &mut self.notes), (reading.errors, &mut self.errors)] {
            for remark in found {
                if !all.contains(&remark) {
                    all.push(remark);
                }
            }
        }
        reading.policy
    }

    /// A cluster belongs to the first version that has its name.
    fn check_names(&mut self) {
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for version in &mut self.all {
            let key = version.key();
            version.clusters.retain(|cluster| {
                if cluster == NATIVE_CLUSTER {
                    let text =
                        format!("{key} has the cluster name {NATIVE_CLUSTER}, which stands for the proxy's own routes");
                    self.errors.push(Remark::new("/clusters", text));
                }
                let owner = owners.entry(cluster.clone()).or_insert_with(|| key.clone());
                if *owner != key {
                    let text = format!("{key} has the same cluster as {owner}: {cluster}");
                    self.notes.push(Remark::new("/clusters", text));
                }
                *owner == key
            });
        }
    }

    /// Writes the exact names into `clusters.names` of a document.
    pub(super) fn name_in(&self, document: &mut Value) {
        let Some(fields) = document.as_object_mut().filter(|_| !self.names.is_empty()) else { return };
        let clusters = fields.entry("clusters").and_modify(null_to_object).or_insert_with(|| json!({}));
        let Some(clusters) = clusters.as_object_mut() else { return };
        let names = clusters.entry("names").and_modify(null_to_object).or_insert_with(|| json!({}));
        if let Some(names) = names.as_object_mut() {
            names.extend(self.names.iter().map(|(key, name)| (key.clone(), json!(name))));
        }
    }
}

fn null_to_object(value: &mut Value) {
    if value.is_null() {
        *value = json!({});
    }
}

fn subsets_by_host<'c>(
    config: &'c Config,
    destinations: &'c [DestinationKey],
) -> BTreeMap<&'c str, BTreeSet<Option<&'c str>>> {
    let mut hosts: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for destination in destinations {
        hosts.entry(&destination.host).or_default().insert(destination.subset.as_deref());
    }
    for (host, subsets) in &mut hosts {
        let defined = config.destination_rules_for(host).into_iter().flat_map(|rule| &rule.subsets);
        subsets.extend(defined.map(|subset| Some(subset.name.as_str())));
    }
    hosts
}

/// The ports by which a host can be reached, or `None` where a destination leaves the port to the request.
fn known_ports(config: &Config, destinations: &[DestinationKey], host: &str) -> Option<BTreeSet<u16>> {
    let services = config.services.iter().filter(|service| service.host == host);
    let mut ports: BTreeSet<u16> = services.flat_map(|service| service.ports.iter().copied()).collect();
    let registered = !ports.is_empty();
    for destination in destinations.iter().filter(|destination| destination.host == host) {
        match destination.port {
            Some(port) => drop(ports.insert(port)),
            None if registered => {}
            None => return None,
        }
    }
    Some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a document of one VirtualService with these destinations, and what else it says.
    fn versions(destinations: Value, rest: Value) -> (Versions, Value) {
        let mut document = json!({"virtualServices": [{"hosts": ["reviews"], "http": [{"route": destinations}]}]});
        let fields = document.as_object_mut().unwrap();
        fields.extend(rest.as_object().unwrap().clone());
        let versions = Versions::of(&Config::read(&document).unwrap().0, &document);
        versions.name_in(&mut document);
        (versions, document)
    }

    fn to(subset: &str) -> Value {
        json!({"weight": 1, "destination": {"host": "reviews", "subset": subset}})
    }

    fn to_port(subset: &str, port: u16) -> Value {
        json!({"weight": 1, "destination": {"host": "reviews", "subset": subset, "port": {"number": port}}})
    }

    #[test]
    fn every_destination_and_every_defined_subset_has_its_clusters() {
        const FQDN: &str = "reviews.default.svc.cluster.local";
        let one_port = json!([{"host": "reviews", "ports": [9080]}]);
        let two_ports = json!([{"host": "reviews", "ports": [80, 9080]}]);
        let rule = json!([{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v3"}]}]);
        let named = json!({"template": "{service}-{subset}"});
        let exact = json!({"names": {"reviews/v1": "old"}});
        for (name, destinations, rest, expected) in [
            (
                "a service's only port",
                json!([to("v1")]),
                json!({"services": one_port}),
                vec![("v1", vec!["outbound|9080|v1|F"])],
            ),
            (
                "a service of several ports",
                json!([to("v1")]),
                json!({"services": two_ports}),
                vec![("v1", vec!["outbound|80|v1|F", "outbound|9080|v1|F"])],
            ),
            ("a port of its own", json!([to_port("v1", 81)]), json!({}), vec![("v1", vec!["outbound|81|v1|F"])]),
            ("no port known", json!([to("v1")]), json!({}), vec![("v1", vec!["outbound|0|v1|F"])]),
            (
                "some port left to the request",
                json!([to("v1"), to_port("v2", 81)]),
                json!({}),
                vec![("v1", vec!["outbound|0|v1|F"]), ("v2", vec!["outbound|0|v2|F"])],
            ),
            (
                "subsets that no rule names",
                json!([to("v1")]),
                json!({"services": one_port, "destinationRules": rule}),
                vec![("v1", vec!["outbound|9080|v1|F"]), ("v3", vec!["outbound|9080|v3|F"])],
            ),
            (
                "a template without port",
                json!([to("v1")]),
                json!({"clusters": named}),
                vec![("v1", vec!["reviews-v1"])],
            ),
            ("an exact name", json!([to("v1")]), json!({"clusters": exact}), vec![("v1", vec!["old"])]),
        ] {
            let (versions, _) = versions(destinations, rest);
            let found: Vec<_> = versions.all.iter().map(|version| (version.name(), version.clusters.clone())).collect();
            let full = |names: Vec<&str>| names.into_iter().map(|name| name.replace('F', FQDN)).collect::<Vec<_>>();
            let expected: Vec<_> = expected.into_iter().map(|(subset, clusters)| (subset, full(clusters))).collect();
            assert_eq!(found, expected, "{name}");
            assert!(
                versions.all.iter().all(|version| version.host == FQDN && version.service() == "reviews"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cluster_for_all_ports_is_made_known_to_the_filter() {
        for (name, rest) in [
            ("no clusters", json!({})),
            ("clusters is null", json!({"clusters": null})),
            ("names is null", json!({"clusters": {"names": null}})),
            ("other names", json!({"clusters": {"names": {"ratings/v1": "r"}}})),
        ] {
            let (_, document) = versions(json!([to("v1")]), rest);
            let (config, _) = Config::read(&document).unwrap();
            let cluster = config.clusters.name("reviews.default.svc.cluster.local", Some("v1"), 1234);
            assert_eq!(cluster, "outbound|0|v1|reviews.default.svc.cluster.local", "{name}");
        }
    }

    #[test]
    fn a_subset_takes_the_policy_of_the_rule_for_its_host() {
        let limit = |connections: u32| json!({"connectionPool": {"tcp": {"maxConnections": connections}}});
        let wildcard = json!({"host": "*.svc.cluster.local", "trafficPolicy": limit(1),
                              "subsets": [{"name": "v2", "trafficPolicy": limit(2)}]});
        let own = json!({"host": "reviews", "trafficPolicy": limit(3),
                         "subsets": [{"name": "v1", "trafficPolicy": limit(4)}]});
        for (name, rules, subset, expected) in [
            ("the rule's", json!([own]), "v9", limit(3)),
            ("the subset's", json!([own]), "v1", limit(4)),
            ("a wildcard's", json!([wildcard]), "v9", limit(1)),
            ("its own before a wildcard's", json!([wildcard, own]), "v9", limit(3)),
            ("the subset's of a wildcard", json!([wildcard]), "v2", limit(2)),
            ("no subset of a wildcard beside its own", json!([wildcard, own]), "v2", limit(3)),
        ] {
            let (versions, _) = versions(json!([to(subset)]), json!({"destinationRules": rules}));
            let found = versions.all.iter().find(|version| version.name() == subset).unwrap();
            let mut reading = Reading::default();
            reading.apply("", &expected);
            assert_eq!(found.policy, reading.policy, "{name}");
        }
    }

    #[test]
    fn what_is_odd_about_policies_and_names_is_told_once() {
        let policy = json!({"tls": {}, "connectionPool": {"tcp": {"maxConnections": "many"}}});
        let rule = json!([{"host": "reviews", "trafficPolicy": policy, "subsets": [{"name": "v1"}, {"name": "v2"}]}]);
        let services = json!([{"host": "reviews", "ports": [9080]}]);
        let one_name = json!({"template": "{service}"});
        let native = json!({"template": "native"});
        for (name, rest, notes, errors) in [
            (
                "policy",
                json!({"destinationRules": rule, "services": services}),
                vec!["/destinationRules/0/trafficPolicy/tls: not carried out by run"],
                vec!["/destinationRules/0/trafficPolicy/connectionPool/tcp/maxConnections: must be a whole number"],
            ),
            (
                "one name for two versions",
                json!({"clusters": one_name}),
                vec!["/clusters: reviews.default.svc.cluster.local/v2 has the same cluster as reviews.default.svc"],
                vec![],
            ),
            (
                "the name of the proxy's own cluster",
                json!({"clusters": native}),
                vec!["/clusters: reviews.default.svc.cluster.local/v2 has the same cluster as"],
                vec!["/clusters: reviews.default.svc.cluster.local/v1 has the cluster name native", "/clusters: "],
            ),
        ] {
            let (versions, _) = versions(json!([to("v1"), to("v2")]), rest);
            for (found, expected) in [(&versions.notes, notes), (&versions.errors, errors)] {
                let found: Vec<_> = found.iter().map(|remark| format!("{}: {}", remark.at, remark.text)).collect();
                assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
                for (found, expected) in found.iter().zip(expected) {
                    assert!(found.starts_with(expected), "{name}: {found}");
                }
            }
        }
    }
}
