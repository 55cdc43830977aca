//! Version mode for a plain Envoy: routes that match the version header, and do nothing else of the rules.

use std::collections::HashSet;

use canary_config::{Config, DestinationKey, VirtualService, failover_name, host};
use serde_json::{Value, json};

use super::{
    names::{ANY_HOST, NATIVE_CLUSTER},
    remark::Remark,
    versions::Version,
};

/// A host of the VirtualServices.
#[derive(Debug)]
pub(super) struct Host {
    /// Its full name.
    name: String,
    /// Under which clients know it.
    domains: Vec<String>,
    targets: Vec<Target>,
}

/// Where requests for a version go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    subset: Option<String>,
    cluster: String,
    /// Whether Envoy goes on from there to other versions.
    fails_over: bool,
}

/// The hosts that the proxy serves. The rules' own matches are not repeated: the filter has held the request against them.
pub(super) fn hosts(config: &Config, versions: &[Version]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut taken: HashSet<String> = HashSet::new();
    for service in config.services_in_order() {
        let targets = targets(config, service, versions);
        if targets.is_empty() {
            continue;
        }
        for name in service.qualified_hosts() {
            match hosts.iter_mut().find(|host| host.name == name) {
                // In a mesh the oldest object takes the host; at a gateway objects merge.
                Some(_) if config.proxy.in_mesh() => {}
                Some(host) => host.targets.extend(targets.iter().cloned()),
                None => {
                    let domains = domains(config, &name).into_iter().filter(|domain| taken.insert(domain.clone()));
                    hosts.push(Host { domains: domains.collect(), name, targets: targets.clone() });
                }
            }
        }
    }
    hosts.retain(|host| !host.domains.is_empty());
    hosts
}

/// The names by which the filter knows a host.
fn domains(config: &Config, name: &str) -> Vec<String> {
    if !config.proxy.in_mesh() {
        return vec![name.to_owned()];
    }
    let near = host::namespace(name).is_none_or(|namespace| config.proxy.in_namespace(namespace));
    host::mesh_names(name, near)
}

/// What the rules name comes first: it decides where requests without a version go.
fn targets(config: &Config, service: &VirtualService, versions: &[Version]) -> Vec<Target> {
    let rules = config.rules_of(service);
    let destinations = rules.iter().flat_map(|resolved| {
        resolved.rule.route.iter().map(|to| config.destination_key(&to.destination, resolved.namespace))
    });
    let named: Vec<DestinationKey> = destinations.collect();
    let picked = named.iter().flat_map(|key| {
        let subsets = config.versions_picked(&key.host).into_iter();
        subsets.map(|subset| DestinationKey { subset: Some(subset), ..key.clone() })
    });
    let failover: HashSet<String> = config.failover_clusters().into_iter().map(|cluster| cluster.name).collect();
    let mut targets: Vec<Target> = Vec::new();
    for target in named.iter().cloned().chain(picked).filter_map(|key| target(config, key, versions, &failover)) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// A destination whose port the request says goes to the first of its version's clusters.
fn target(config: &Config, key: DestinationKey, versions: &[Version], failover: &HashSet<String>) -> Option<Target> {
    let subset = key.subset.as_deref();
    let named = key.port.map(|port| config.clusters.name(&key.host, subset, port));
    let defined = || versions.iter().find(|version| version.host == key.host && version.subset == key.subset);
    let cluster = named.or_else(|| defined()?.clusters.first().cloned());
    // A version that nothing defines has no cluster of its own, but may have those of others after it.
    let cluster = cluster.unwrap_or_else(|| config.clusters.name(&key.host, subset, 0));
    let on = failover_name(&cluster);
    let fails_over = failover.contains(&on);
    (fails_over || defined().is_some()).then(|| Target {
        cluster: if fails_over { on } else { cluster },
        subset: key.subset.clone(),
        fails_over,
    })
}

/// What version mode cannot tell apart: the header names a subset, not its host.
pub(super) fn ambiguities(config: &Config, versions: &[Version]) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for service in config.services_in_order() {
        let mut known: Vec<Target> = Vec::new();
        for target in targets(config, service, versions) {
            match known.iter().find(|other| other.subset == target.subset) {
                Some(other) if other.cluster != target.cluster => {
                    let version = target.subset.as_deref().unwrap_or("no version");
                    let text = format!(
                        "{version} is {} and {}: the version header cannot tell them apart; run sends both to the first",
                        other.cluster, target.cluster
                    );
                    remarks.push(Remark::new(&service.at, text));
                }
                Some(_) => {}
                None => known.push(target),
            }
        }
    }
    remarks
}

impl Host {
    /// All other hosts: the proxy's own routes.
    pub(super) fn rest() -> Self {
        let targets = vec![Target { subset: None, cluster: NATIVE_CLUSTER.to_owned(), fails_over: false }];
        Self { name: "all".to_owned(), domains: vec![ANY_HOST.to_owned()], targets }
    }

    pub(super) fn takes_all(&self) -> bool {
        self.domains.iter().any(|domain| domain == ANY_HOST)
    }

    /// A route for each version, then one for requests without: to the service as a whole where some rule does so, else to
    /// the first rule's first destination.
    pub(super) fn into_virtual_host(self, version_header: &str, retries: Option<&Value>) -> Value {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut routes: Vec<Value> = Vec::new();
        for target in &self.targets {
            let Some(subset) = target.subset.as_deref().filter(|subset| seen.insert(subset)) else { continue };
            let header = json!({"name": version_header, "string_match": {"exact": subset}});
            routes.push(route(subset, json!({"prefix": "/", "headers": [header]}), target, retries));
        }
        let whole = self.targets.iter().find(|target| target.subset.is_none());
        if let Some(target) = whole.or(self.targets.first()) {
            routes.push(route("default", json!({"prefix": "/"}), target, retries));
        }
        json!({"name": self.name, "domains": self.domains, "routes": routes})
    }
}

fn route(name: &str, matched: Value, target: &Target, retries: Option<&Value>) -> Value {
    let mut action = json!({"cluster": target.cluster, "timeout": "0s"});
    if let (Some(retries), Some(fields)) = (retries.filter(|_| target.fails_over), action.as_object_mut()) {
        fields.insert("retry_policy".to_owned(), retries.clone());
    }
    json!({"name": name, "match": matched, "route": action})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::{Failover, NativePart, versions::Versions};

    /// Domains of the virtual hosts, each with `VERSION → CLUSTER` of its routes, and how many ambiguities there are.
    fn routes(virtual_services: Value, rest: Value) -> (Vec<(String, Vec<String>)>, usize) {
        let mut document = json!({"mode": "version", "virtualServices": virtual_services});
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let config = Config::read(&document).unwrap().0;
        let versions = Versions::of(&config, &document).all;
        let routes = NativePart::of(&config).routes(&config, &versions, Failover::Aggregate);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let hosts = routes["virtual_hosts"].as_array().unwrap().iter().map(|host| {
            let domains: Vec<String> = host["domains"].as_array().unwrap().iter().map(text).collect();
            let routes = host["routes"].as_array().unwrap().iter().map(|route| {
                let version = route.pointer("/match/headers/0/string_match/exact").map_or("any".to_owned(), text);
                format!("{version} → {}", text(&route["route"]["cluster"]))
            });
            (domains.join(" "), routes.collect())
        });
        (hosts.collect(), ambiguities(&config, &versions).len())
    }

    fn to(host: &str, subset: Option<&str>) -> Value {
        json!({"destination": {"host": host, "subset": subset}, "weight": 1})
    }

    #[test]
    fn a_version_has_a_route_of_its_own() {
        let named = || json!({"clusters": {"template": "{service}-{subset}"}});
        let gateway = |more: Value| {
            let mut rest = json!({"proxy": {"gateways": ["gw"]}, "clusters": {"template": "{service}-{subset}"}});
            rest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rest
        };
        let split = json!([{"route": [to("web", Some("v1")), to("web", Some("v2"))]}]);
        let whole = json!([{"route": [to("web", Some("v1"))]}, {"route": [to("web", None)]}]);
        let redirect = json!([{"redirect": {"uri": "/"}}]);
        let mesh = "web.default.svc.cluster.local web.default.svc.cluster.local. web.default.svc web.default web";
        let rest = ("*".to_owned(), vec!["any → native"]);
        let at = |hosts: Value, http: &Value| json!({"hosts": hosts, "http": http, "gateways": ["gw"]});
        for (name, services, more, expected, ambiguous) in [
            (
                "a split, at the names of the mesh",
                json!([{"hosts": ["web"], "http": split}]),
                named(),
                vec![(mesh.to_owned(), vec!["v1 → web-v1", "v2 → web-v2", "any → web-v1"]), rest.clone()],
                0,
            ),
            (
                "without a version to the service as a whole",
                json!([{"hosts": ["web"], "http": whole}]),
                named(),
                vec![(mesh.to_owned(), vec!["v1 → web-v1", "any → web-"]), rest.clone()],
                0,
            ),
            (
                "Istio's cluster names, the port known",
                json!([at(json!(["web.io"]), &split)]),
                gateway(json!({"clusters": {}, "services": [{"host": "web", "ports": [80]}]})),
                vec![
                    (
                        "web.io".to_owned(),
                        vec![
                            "v1 → outbound|80|v1|web.default.svc.cluster.local",
                            "v2 → outbound|80|v2|web.default.svc.cluster.local",
                            "any → outbound|80|v1|web.default.svc.cluster.local",
                        ],
                    ),
                    rest.clone(),
                ],
                0,
            ),
            (
                "objects merge at a gateway",
                json!([at(json!(["web.io"]), &split), at(json!(["web.io"]), &whole)]),
                gateway(json!({})),
                vec![("web.io".to_owned(), vec!["v1 → web-v1", "v2 → web-v2", "any → web-"]), rest.clone()],
                0,
            ),
            (
                "any host",
                json!([at(json!(["*"]), &split)]),
                gateway(json!({})),
                vec![("*".to_owned(), vec!["v1 → web-v1", "v2 → web-v2", "any → web-v1"])],
                0,
            ),
            (
                "what a policy can pick",
                json!([at(json!(["web.io"]), &json!([{"route": [to("web", Some("v1"))]}]))]),
                gateway(json!({
                    "policies": [{"hosts": ["web"], "defaultSubset": "v3"}],
                    "destinationRules": [{"spec": {"host": "web", "subsets": [{"name": "v2"}, {"name": "v3"}]}}],
                })),
                vec![
                    (
                        "web.io".to_owned(),
                        vec!["v1 → failover|web-v1", "v2 → failover|web-v2", "v3 → web-v3", "any → failover|web-v1"],
                    ),
                    rest.clone(),
                ],
                0,
            ),
            (
                "what a trusted client can force",
                json!([at(json!(["web.io"]), &json!([{"route": [to("web", Some("v1"))]}]))]),
                gateway(json!({
                    "overrides": {"from": [{"cidr": "10.0.0.0/8"}]},
                    "destinationRules": [{"spec": {"host": "web", "subsets": [{"name": "v1"}, {"name": "v2"}]}}],
                })),
                vec![("web.io".to_owned(), vec!["v1 → web-v1", "v2 → web-v2", "any → web-v1"]), rest.clone()],
                0,
            ),
            ("nothing to forward", json!([{"hosts": ["web"], "http": redirect}]), named(), vec![rest.clone()], 0),
            (
                "one name for versions of two services",
                json!([at(
                    json!(["web.io"]),
                    &json!([{"match": [{"uri": {"prefix": "/a"}}], "route": [to("a", Some("v1"))]},
                                                     {"route": [to("b", Some("v1"))]}])
                )]),
                gateway(json!({})),
                vec![("web.io".to_owned(), vec!["v1 → a-v1", "any → a-v1"]), rest.clone()],
                1,
            ),
        ] {
            let expected: Vec<(String, Vec<String>)> = expected
                .into_iter()
                .map(|(domains, routes)| (domains, routes.into_iter().map(str::to_owned).collect()))
                .collect();
            assert_eq!(routes(services, more), (expected, ambiguous), "{name}");
        }
    }
}
