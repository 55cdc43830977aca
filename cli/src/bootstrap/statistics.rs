//! What makes labels of the names that the filter gives its statistics.

use serde_json::{Value, json};

/// Every label of the filter's metrics.
pub(crate) const LABELS: [&str; 10] =
    ["host", "version", "reason", "class", "from", "to", "type", "cluster", "result", "plugin"];

/// `stats_config`: the labels by the expressions that Istio's `extraStatTags` makes of their names.
pub(super) fn statistics() -> Value {
    let tag = |label: &str| json!({"tag_name": label, "regex": format!(r"({label}=\.=(.*?);\.;)")});
    json!({"stats_tags": LABELS.map(tag)})
}
