//! The filter as Envoy is told about it.

use std::path::Path;

use serde_json::{Value, json};

/// Name of the filter: in the chain, as an ECDS resource, in Envoy's statistics and log.
pub(crate) const NAME: &str = "canary";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The filter's own configuration. `document` reaches it as text, so that its numbers and order stay as they are.
pub(crate) fn typed_config(wasm: &Path, document: &str) -> Value {
    json!({
        "@type": WASM,
        "config": {
            "name": NAME,
            "root_id": NAME,
            // A trap costs one request, then a fresh VM takes over.
            "failure_policy": "FAIL_RELOAD",
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": document},
            "vm_config": {
                "vm_id": NAME,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": wasm}},
            },
        },
    })
}

/// The filter with its configuration in place.
pub(super) fn inline(wasm: &Path, document: &str) -> Value {
    json!({"name": NAME, "typed_config": typed_config(wasm, document)})
}

/// The filter whose configuration comes from a file, and anew whenever that file is replaced by a rename.
pub(super) fn discovered(ecds: &Path) -> Value {
    json!({
        "name": NAME,
        "config_discovery": {"config_source": super::file_source(ecds), "type_urls": [WASM]},
    })
}

/// What the ECDS file holds.
pub(crate) fn discovery_response(version: u64, wasm: &Path, document: &str) -> Value {
    json!({
        "version_info": version.to_string(),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": NAME,
            "typed_config": typed_config(wasm, document),
        }],
    })
}
