//! `DestinationRule`: the versions of a host.

use serde_json::Value;

use super::node::{Fields, Node};
use super::object::{self, Metadata};
use super::syntax;
use crate::host;

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
    /// Settings for every version, as written.
    pub traffic_policy: Option<Value>,
}

/// One version of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    /// The name that destinations use.
    pub name: String,
    /// Labels of the version's workloads.
    pub labels: Vec<(String, String)>,
    /// Settings of this version that override the host's, as written.
    pub traffic_policy: Option<Value>,
}

impl DestinationRule {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        object::read(node, &["DestinationRule"], |fields, metadata, _| Self::read_spec(fields, metadata))
    }

    fn read_spec(fields: &Fields<'_>, metadata: Metadata) -> Option<Self> {
        let host = fields.require("host").and_then(|node| {
            let name = node.string()?;
            node.check(syntax::check_wildcard_domain(name));
            Some(host::qualify(&name.to_ascii_lowercase(), &metadata.namespace))
        });
        let export_to = fields.get("exportTo").map(|list| super::export_to(&list)).unwrap_or_default();
        let subsets = fields.get("subsets").map(|list| read_subsets(&list)).unwrap_or_default();
        let traffic_policy = read_traffic_policy(fields);
        fields.not_carried_out(&["workloadSelector"], "the rule is taken for every workload");
        Some(Self { at: fields.node().pointer(), metadata, host: host?, export_to, subsets, traffic_policy })
    }
}

fn read_subsets(list: &Node<'_>) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = Vec::new();
    for element in list.elements() {
        let Some(fields) = element.object() else { continue };
        let name = fields.require("name").and_then(|node| {
            let name = node.string()?;
            node.check(syntax::check_subset(name));
            if subsets.iter().any(|subset| subset.name == name) {
                node.invalid(format!("duplicate subset names: {name}"));
            }
            Some(name.to_owned())
        });
        let labels = fields.get("labels").map(|labels| super::labels(&labels)).unwrap_or_default();
        let traffic_policy = read_traffic_policy(&fields);
        fields.finish();
        subsets.extend(name.map(|name| Subset { name, labels, traffic_policy }));
    }
    subsets
}

/// `trafficPolicy` is another component's business here, but it has to be an object.
fn read_traffic_policy(fields: &Fields<'_>) -> Option<Value> {
    let node = fields.get("trafficPolicy")?;
    node.is_object().then(|| node.value().clone())
}
