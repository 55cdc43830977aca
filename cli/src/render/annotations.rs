//! `canaryctl render annotations`: what Pods have to say for the statistics that the filter reads and writes.

use serde_json::json;

use super::{
    manifest::{Manifest, command_line},
    plugin::RUN_ON,
};
use crate::bootstrap::LABELS;

const COMMENTS: [&str; 12] = [
    "For the Pods whose proxies run the filter, gateways included: kubectl patch deployment NAME --patch-file THIS-FILE",
    "(it starts their Pods anew, and it replaces a proxy.istio.io/config that is there). Or write the two fields into",
    "meshConfig.defaultConfig, for all proxies that start from then on.",
    "",
    "extraStatTags: makes labels of the names of the filter's metrics; a version that is a name's part only is hard to ask for.",
    "The metrics themselves are exported without it: wasmcustom.…",
    "proxyStatsMatcher: for the guard of mode cluster. Istio leaves the statistic membership_total out, and where it is left",
    "out every cluster seems to be empty; the guard believes an empty cluster only where it has been seen with endpoints, so",
    "without it clusters that exist but are empty cost requests. Clusters that do not exist are known anyway.",
    "Cardinality: one gauge for each cluster of the proxy.",
    "",
    RUN_ON,
];

/// Prints the patch to standard output.
pub(super) fn print() -> Result<(), Vec<String>> {
    let tags = LABELS.join(", ");
    let config = format!("extraStatTags: [{tags}]\nproxyStatsMatcher:\n  inclusionSuffixes: [membership_total]\n");
    let annotations = json!({"proxy.istio.io/config": config});
    let object = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let comments = [command_line(), String::new()].into_iter().chain(COMMENTS.map(str::to_owned)).collect();
    Manifest { comments, object, list: None }.print()
}
