//! Counts configurations, and reports the one in force.

use canary_routing::fingerprint;

use super::metrics::Registry;
use super::metrics::catalogue::{CONFIG_RELOADS, CONFIG_VERSION, DECISION_ERRORS, DELAYS_SKIPPED};
use crate::host::Host;

/// The property with the plugin's name in Envoy's configuration.
const PLUGIN_NAME: &str = "plugin_name";

/// Counts a configuration, and reports its fingerprint if it is accepted. From then on the error counter is shown, too.
pub(crate) fn count(host: &impl Host, registry: &Registry, document: &[u8], accepted: bool) {
    let plugin = host.property(PLUGIN_NAME).unwrap_or_else(|error| {
        log::error!("{error}: metrics do not name the plugin");
        None
    });
    let plugin = plugin.map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
    let result = if accepted { "accepted" } else { "refused" };
    registry.count(host, &CONFIG_RELOADS, &[&plugin, result]);
    if accepted {
        registry.set(host, &CONFIG_VERSION, &[&plugin], fingerprint(document));
        registry.define(host, &DELAYS_SKIPPED);
        registry.define(host, &DECISION_ERRORS);
    }
}
