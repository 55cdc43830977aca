//! What the pages say about metrics and spans, beside what the bootstrap for readers has.

use std::fs;

use e2e::bootstrap;
use serde_json::Value;

/// The names of labels of an Istio proxy are those of the shipped `stats_config`.
pub(crate) fn an_annotation_names_the_labels(pod: &Value) {
    let annotation = pod.pointer("/metadata/annotations/proxy.istio.io~1config").and_then(Value::as_str);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("proxy.yaml");
    fs::write(&file, annotation.expect("a proxy's configuration")).expect("a file");
    let labels = names(&bootstrap::statistics()["stats_tags"], "tag_name");
    let tags = crate::read_yaml(&file)["extraStatTags"].clone();
    assert_eq!(tags, Value::from(labels));
}

/// The tags have the names of the shipped ones, and one of them has filter state for the header.
pub(crate) fn tags_are_those_of_the_bootstrap(tracing: &Value, shipped: &Value) {
    assert_eq!(names(&tracing["custom_tags"], "tag"), names(&shipped["custom_tags"], "tag"));
    let pairs = tracing["custom_tags"].as_array().into_iter().zip(shipped["custom_tags"].as_array());
    for (tag, shipped) in pairs.flat_map(|(tags, shipped)| tags.iter().zip(shipped)) {
        match tag["tag"].as_str() {
            Some("canary.decision") => assert_eq!(tag["value"], "%FILTER_STATE(wasm.canary:PLAIN)%"),
            _ => assert_eq!(tag, shipped),
        }
    }
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let name = |element: &Value| element[field].as_str().expect("a name").to_owned();
    list.as_array().expect("a list").iter().map(name).collect()
}
