//! `canaryctl render annotations`: what Pods have to say for the statistics that the filter reads and writes.

use serde_json::json;

use super::{manifest::Manifest, plugin::RUN_ON};
use crate::bootstrap::LABELS;

const COMMENTS: [&str; 9] = [
    "For the Pods whose proxies run the filter, gateways included: kubectl patch deployment NAME --patch-file FILE. It starts",
    "their Pods anew, and replaces a proxy.istio.io/config that is there. Or write the fields into meshConfig.defaultConfig,",
    "for all proxies that start from then on.",
    "",
    "extraStatTags: makes labels of what the names of the filter's metrics hold. Istio exports these metrics anyway.",
    "proxyStatsMatcher: what Istio's proxies leave out by default. extension_config_discovery tells how often Envoy has refused",
    "what it was sent for the filter: update_rejected.",
    "",
    RUN_ON,
];

/// Prints the patch to standard output.
pub(super) fn print() -> Result<(), Vec<String>> {
    let tags = LABELS.join(", ");
    let config =
        format!("extraStatTags: [{tags}]\nproxyStatsMatcher:\n  inclusionPrefixes: [extension_config_discovery]\n");
    let annotations = json!({"proxy.istio.io/config": config});
    let object = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let comments = COMMENTS.map(str::to_owned).to_vec();
    Manifest::print_all([Manifest { comments, object, list: None }])
}
