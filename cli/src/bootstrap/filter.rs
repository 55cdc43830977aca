//! The filter as Envoy is told about it.

use std::path::Path;

use serde_json::{Value, json};

use super::discovery::file_source;

/// Name of the filter: in the chain, as an ECDS resource, in Envoy's statistics and log.
pub(crate) const NAME: &str = "canary";

/// What the filter is to Envoy.
pub(crate) const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/// A filter that without rules lets everything pass.
pub(crate) const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// Where Envoy gets the module from, and what it does when that has failed.
pub(crate) struct Module {
    /// Envoy's `AsyncDataSource`.
    pub(crate) code: Value,
    /// Envoy's name of what is done without a working module.
    pub(crate) failure_policy: &'static str,
}

impl Module {
    /// A file. A trap costs one request, then a fresh VM takes over.
    fn file(wasm: &Path) -> Self {
        Self { code: json!({"local": {"filename": wasm}}), failure_policy: "FAIL_RELOAD" }
    }

    /// The filter's configuration. `document` reaches it as text, so that its numbers and order stay as they are.
    pub(crate) fn typed_config(&self, name: &str, document: &str) -> Value {
        json!({
            "@type": WASM,
            "config": {
                "name": name,
                "root_id": name,
                "failure_policy": self.failure_policy,
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": document},
                "vm_config": {
                    "vm_id": NAME,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": self.code,
                },
            },
        })
    }
}

/// The filter with its configuration in place.
pub(super) fn inline(wasm: &Path, document: &str) -> Value {
    json!({"name": NAME, "typed_config": Module::file(wasm).typed_config(NAME, document)})
}

/// The filter whose configuration comes from a file, and anew whenever that file is replaced by a rename.
pub(super) fn discovered(ecds: &Path) -> Value {
    json!({
        "name": NAME,
        "config_discovery": {"config_source": file_source(ecds), "type_urls": [WASM]},
    })
}

/// What the ECDS file holds.
pub(crate) fn discovery_response(version: u64, wasm: &Path, document: &str) -> Value {
    json!({
        "version_info": version.to_string(),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": NAME,
            "typed_config": Module::file(wasm).typed_config(NAME, document),
        }],
    })
}
