//! What access logs and traces can say of a request: filter state that Envoy shows as
//! `%FILTER_STATE(wasm.canary_version:PLAIN)%`.

use canary_routing::Decision;
use sdk_shims::host;
use sdk_shims::log;

const ROUTE: &str = "canary_route";
const VERSION: &str = "canary_version";
const REASON: &str = "canary_reason";

/// Says which route and version a request takes, and why; what it has none of is left out.
pub(crate) fn tell(decision: &Decision<'_>) {
    if let Some(route) = decision.route.filter(|route| !route.name.is_empty()) {
        set(ROUTE, &route.name);
    }
    if let Some((destination, reason)) = decision.version() {
        tell_version(destination.subset.as_deref());
        set(REASON, reason.as_str());
    }
}

/// Says which version serves; another that was named before gives way to it.
pub(crate) fn tell_version(subset: Option<&str>) {
    if let Some(subset) = subset {
        set(VERSION, subset);
    }
}

fn set(name: &str, value: &str) {
    if let Err(error) = host::set_property(name, value.as_bytes()) {
        log::error!("{error}: access logs lack {name}");
    }
}
