//! `canaryctl render annotations`: what Pods have to say for the statistics that the filter reads and writes.

use serde_json::json;

use super::{
    manifest::{Manifest, command_line},
    plugin::RUN_ON,
};
use crate::bootstrap::LABELS;

const COMMENTS: [&str; 12] = [
    "For the Pods whose proxies run the filter, gateways included: kubectl patch deployment NAME --patch-file FILE. It starts",
    "their Pods anew, and replaces a proxy.istio.io/config that is there. Or write the fields into meshConfig.defaultConfig,",
    "for all proxies that start from then on.",
    "",
    "extraStatTags: makes labels of what the names of the filter's metrics hold. Istio exports these metrics anyway.",
    "proxyStatsMatcher: what Istio's proxies leave out by default.",
    "- membership_total, a gauge for each cluster, is for the guard of mode cluster: without it every cluster seems to be empty,",
    "  so that it believes none to be, and requests for a version without endpoints fail until that is learned. Clusters that",
    "  do not exist are known anyway.",
    "- extension_config_discovery tells how often Envoy has refused what it was sent for the filter: update_rejected.",
    "",
    RUN_ON,
];

/// Prints the patch to standard output.
pub(super) fn print() -> Result<(), Vec<String>> {
    let tags = LABELS.join(", ");
    let config = format!(
        "extraStatTags: [{tags}]\nproxyStatsMatcher:\n  inclusionPrefixes: [extension_config_discovery]\n  inclusionSuffixes: [membership_total]\n"
    );
    let annotations = json!({"proxy.istio.io/config": config});
    let object = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let comments = [command_line(), String::new()].into_iter().chain(COMMENTS.map(str::to_owned)).collect();
    Manifest { comments, object, list: None }.print()
}
