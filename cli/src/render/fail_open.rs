//! The fallback filter: an EnvoyFilter beside a plugin that fails open, for proxies that have no plugin yet.

use canary_config::Config;

use super::{
    envoy_filter::discovered_or,
    kind::Kind,
    manifest::Manifest,
    patches::{PRIORITY, envoy_filter, http_filter, without_clients_copies},
    plugin::Plugin,
};
use crate::bootstrap::{
    NativePart,
    filter::{RBAC, WASM},
    listener,
};

/// The EnvoyFilter. Without it, a proxy that starts while the configuration is bad answers 500 to every request, whatever the
/// strategy.
pub(super) fn fallback_filter(kind: Kind, plugin: &Plugin) -> Manifest {
    let native = NativePart::of(&plugin.config);
    let version = plugin.config.headers.version();
    let name = name_in_envoy(kind, plugin);
    let discovery =
        discovered_or(&name, &[WASM, RBAC, listener::HEADER_MUTATION], Some(listener::without_headers(version)));
    let replaced = http_filter(plugin, &name, "REPLACE", &discovery);
    let why = "The plugin's filter as istiod makes it, and a default that is in force where a proxy starts while the document is\nbad: it removes the header of which only the filter may tell the routes.";
    // With trusted clients, the header must reach the filter.
    let unused = version.filter(|_| plugin.config.overrides.from.is_empty());
    let stripped = without_clients_copies(plugin, native.reserved_headers().chain(unused));
    let patches = vec![(why.to_owned(), replaced), stripped];
    envoy_filter(plugin, comments(&plugin.config), plugin.metadata(), PRIORITY, patches)
}

/// As Istio names the filter from 1.30 on.
fn name_in_envoy(kind: Kind, plugin: &Plugin) -> String {
    let translated = match kind {
        Kind::TrafficExtension => "",
        Kind::WasmPlugin => "~istio-translated-wasmplugin",
    };
    format!("extensions.istio.io/trafficextension/{}.{}{translated}", plugin.namespace, plugin.name)
}

fn comments(config: &Config) -> Vec<String> {
    let mut lines = vec![
        "The net of FAIL_OPEN. A proxy that starts while the plugin's document is bad would answer 500 to every request, whatever",
        "failStrategy is; with this the native routes serve until the document is repaired. It names the plugin's filter as Istio",
        "does from 1.30 on; before, as extensions.istio.io/wasmplugin/NAMESPACE.NAME. Where the name is another it does nothing.",
    ];
    if !config.overrides.from.is_empty() {
        lines.extend([
            "The version header of a client passes where the image cannot be had, since some are trusted to send it (overrides):",
            "there any client picks among the versions of its rule. Take FAIL_CLOSE where that must not be.",
        ]);
    }
    lines.into_iter().map(str::to_owned).collect()
}
