//! `DestinationRule`: the versions of a host.

use crate::Config;
use crate::host;
use crate::node::{Fields, Node};
use crate::object::{self, Metadata};
use crate::proxy::Proxy;
use crate::sorted::sorted;
use crate::syntax;
use crate::vocabulary::{self, DESTINATION_RULE};
use crate::word_hash::WordMap;

/// A DestinationRule. The filter reads host and subsets; `trafficPolicy` is for `canaryctl run` and `render`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRule {
    /// JSON pointer of the spec in the document.
    pub at: String,
    /// Name, namespace and age.
    pub metadata: Metadata,
    /// The host's full name (short names belong to the object's namespace); may start with a wildcard.
    pub host: String,
    /// Namespaces that see the object; empty means all.
    pub export_to: Vec<String>,
    /// The versions.
    pub subsets: Vec<Subset>,
    /// JSON pointer of the settings for every version.
    pub traffic_policy: Option<String>,
}

/// One version of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    /// The name that destinations use.
    pub name: String,
    /// Labels of the version's workloads.
    pub labels: Vec<(String, String)>,
    /// JSON pointer of the settings of this version, which override the host's.
    pub traffic_policy: Option<String>,
}

impl DestinationRule {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        object::read(
            node,
            &["DestinationRule"],
            |_| &DESTINATION_RULE,
            |fields, metadata, _| Self::read_spec(fields, metadata),
        )
    }

    fn read_spec(fields: &Fields<'_>, metadata: Metadata) -> Option<Self> {
        let host = fields.require("host").and_then(|node| {
            let name = node.string()?;
            node.check(syntax::check_wildcard_domain(name));
            Some(host::qualify(&name.to_ascii_lowercase(), &metadata.namespace))
        });
        let export_to = fields.get("exportTo").map(|list| crate::export_to(&list)).unwrap_or_default();
        let subsets = fields.get("subsets").map(|list| read_subsets(&list)).unwrap_or_default();
        let traffic_policy = read_traffic_policy(fields);
        fields.not_carried_out(&["workloadSelector"], "the rule is taken for every workload");
        Some(Self { at: fields.node().pointer(), metadata, host: host?, export_to, subsets, traffic_policy })
    }
}

/// The namespace whose objects act everywhere (Istio's default for `rootNamespace`).
const ROOT_NAMESPACE: &str = "istio-system";

/// The DestinationRules of a document, found by host without a look at each.
#[derive(Debug)]
pub struct DestinationRules<'c> {
    proxy: &'c Proxy,
    exact: WordMap<&'c str, Vec<&'c DestinationRule>>,
    wildcards: Vec<&'c DestinationRule>,
}

impl<'c> DestinationRules<'c> {
    /// Those of a document.
    #[must_use]
    pub fn of(config: &'c Config) -> Self {
        let mut rules = Self { proxy: &config.proxy, exact: WordMap::default(), wildcards: Vec::new() };
        for rule in &config.destination_rules {
            if rule.host.starts_with('*') {
                rules.wildcards.push(rule);
            } else {
                rules.exact.entry(&rule.host).or_default().push(rule);
            }
        }
        rules
    }

    /// The DestinationRules that count for a host (its full name), the oldest first: those of the proxy's namespace, else
    /// of the service's, else of the root namespace, and there those of the most specific host. They count as merged: the
    /// first definition of a subset and the first `trafficPolicy` win. A proxy of an unknown namespace is in all of them.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Vec<&'c DestinationRule> {
        let mut covering = self.exact.get(host).cloned().unwrap_or_default();
        covering.extend(self.wildcards.iter().filter(|rule| host::covers(&rule.host, host)));
        let Some(own) = self.proxy.namespace.as_deref() else { return most_specific(&covering, |_| true) };
        let namespaces = [Some(own), host::namespace(host), Some(ROOT_NAMESPACE)];
        let found = namespaces.into_iter().flatten().map(|namespace| {
            most_specific(&covering, |rule| {
                rule.metadata.namespace == namespace && self.proxy.sees(&rule.export_to, namespace)
            })
        });
        found.into_iter().find(|rules| !rules.is_empty()).unwrap_or_default()
    }

    /// The names of the subsets that they define for a host.
    #[must_use]
    pub fn subsets_of(&self, host: &str) -> Vec<&'c str> {
        let subsets = self.of_host(host).into_iter().flat_map(|rule| &rule.subsets);
        subsets.map(|subset| subset.name.as_str()).collect()
    }

    /// The revision by which Istio's endpoints name the workloads of a version. `None` where another version of the host has the
    /// same, or the labels of any do not say theirs: its workloads may have every revision.
    #[must_use]
    pub fn revision_of(&self, host: &str, version: &str) -> Option<&'c str> {
        let mut subsets: Vec<&Subset> = Vec::new();
        for subset in self.of_host(host).into_iter().flat_map(|rule| &rule.subsets) {
            if subsets.iter().all(|known| known.name != subset.name) {
                subsets.push(subset);
            }
        }
        let revision = subsets.iter().find(|subset| subset.name == version)?.revision()?;
        let mut others = subsets.iter().filter(|subset| subset.name != version);
        others.all(|other| other.revision().is_some_and(|other| other != revision)).then_some(revision)
    }
}

/// The labels of which the first that a workload has is its canonical revision (Istio, `pkg/labels`).
const REVISION_LABELS: [&str; 3] = ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];

impl Subset {
    /// The canonical revision of its workloads, as far as its labels say it.
    fn revision(&self) -> Option<&str> {
        REVISION_LABELS
            .iter()
            .find_map(|name| self.labels.iter().find_map(|(label, value)| (label == name).then_some(value.as_str())))
    }
}

impl Config {
    /// [`DestinationRules::of_host`], for a single host.
    #[must_use]
    pub fn destination_rules_for(&self, host: &str) -> Vec<&DestinationRule> {
        DestinationRules::of(self).of_host(host)
    }
}

/// The eligible rules of those that cover a host, as far as none is for a more specific host.
fn most_specific<'c>(
    covering: &[&'c DestinationRule],
    eligible: impl Fn(&DestinationRule) -> bool,
) -> Vec<&'c DestinationRule> {
    let eligible = || covering.iter().copied().filter(|rule| eligible(rule));
    let exact = |rule: &&DestinationRule| !rule.host.starts_with('*');
    let best = eligible().max_by_key(|rule| (exact(rule), rule.host.len())).map(|rule| &rule.host);
    let rules = eligible().filter(|rule| Some(&rule.host) == best).collect();
    sorted(rules, |left: &&DestinationRule, right| left.metadata.rank().cmp(&right.metadata.rank()))
}

fn read_subsets(list: &Node<'_>) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = Vec::new();
    for element in list.elements() {
        let Some(fields) = element.object(&vocabulary::SUBSET) else { continue };
        let name = fields.require("name").and_then(|node| {
            let name = node.string()?;
            node.check(syntax::check_subset(name));
            if subsets.iter().any(|subset| subset.name == name) {
                node.invalid(format!("duplicate subset names: {name}"));
            }
            Some(name.to_owned())
        });
        let labels = fields.get("labels").map(|labels| crate::labels(&labels)).unwrap_or_default();
        let traffic_policy = read_traffic_policy(&fields);
        fields.finish();
        subsets.extend(name.map(|name| Subset { name, labels, traffic_policy }));
    }
    subsets
}

/// `trafficPolicy` is another component's business here, but it has to be an object.
fn read_traffic_policy(fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("trafficPolicy")?;
    node.is_object().then(|| node.pointer())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Config;

    fn rule(name: &str, namespace: &str, host: &str, subset: &str, policy: Option<&str>, more: Value) -> Value {
        let mut spec = json!({"host": host, "subsets": [{"name": subset, "labels": {"from": name}}]});
        if let Some(policy) = policy {
            spec["trafficPolicy"] = json!({"from": policy});
        }
        spec["exportTo"] = more;
        json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    }

    #[test]
    fn a_version_is_known_by_its_revision() {
        let version = || json!({"version": "1.2"});
        for (row, subsets, expected) in [
            ("its label", json!([{"name": "v1", "labels": version()}]), Some("1.2")),
            ("no labels", json!([{"name": "v1"}]), None),
            ("other labels", json!([{"name": "v1", "labels": {"track": "canary"}}]), None),
            (
                "the first of Istio's labels",
                json!([{"name": "v1", "labels": {"version": "1", "app.kubernetes.io/version": "2", "service.istio.io/canonical-revision": "3"}}]),
                Some("3"),
            ),
            (
                "another version's, too",
                json!([{"name": "v1", "labels": version()}, {"name": "v2", "labels": version()}]),
                None,
            ),
            (
                "another version's labels do not say theirs",
                json!([{"name": "v1", "labels": version()}, {"name": "v2", "labels": {"track": "canary"}}]),
                None,
            ),
            ("no such version", json!([{"name": "v2", "labels": version()}]), None),
        ] {
            let document = json!({"destinationRules": [{"metadata": {"name": "reviews"}, "spec": {"host": "reviews", "subsets": subsets}}]});
            let (config, _) = Config::read(&document).expect(row);
            let rules = super::DestinationRules::of(&config);
            assert_eq!(rules.revision_of("reviews.default.svc.cluster.local", "v1"), expected, "{row}");
        }
    }

    #[test]
    fn the_three_steps_and_the_merge() {
        let document = json!({"proxy": {"namespace": "client"}, "destinationRules": [
            rule("root", "istio-system", "*.svc.cluster.local", "r", None, Value::Null),
            rule("service", "shop", "cart", "s", None, Value::Null),
            rule("hidden", "shop", "hidden", "h", None, json!(["."])),
            rule("b-wide", "client", "*.wide.svc.cluster.local", "w", None, Value::Null),
            rule("narrow", "client", "a.wide.svc.cluster.local", "n", None, Value::Null),
            rule("merge-b", "client", "merged.shop.svc.cluster.local", "v1", Some("b"), Value::Null),
            rule("merge-a", "client", "merged.shop.svc.cluster.local", "v1", None, Value::Null),
            rule("third", "third", "elsewhere.shop.svc.cluster.local", "t", None, Value::Null),
        ]});
        let (config, _) = Config::read(&document).unwrap();
        let rows: [(&str, &str, &[&str]); 7] = [
            ("the service's namespace", "cart.shop.svc.cluster.local", &["service"]),
            ("the root namespace", "other.shop.svc.cluster.local", &["root"]),
            ("not exported", "hidden.shop.svc.cluster.local", &["root"]),
            ("the client's namespace, a wildcard", "b.wide.svc.cluster.local", &["b-wide"]),
            ("the most specific host", "a.wide.svc.cluster.local", &["narrow"]),
            ("merged in their order", "merged.shop.svc.cluster.local", &["merge-a", "merge-b"]),
            ("a third namespace does not count", "elsewhere.shop.svc.cluster.local", &["root"]),
        ];
        for (name, host, expected) in rows {
            let found: Vec<_> =
                config.destination_rules_for(host).iter().map(|rule| rule.metadata.name.as_str()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
