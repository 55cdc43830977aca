//! Counts control headers by permission.

use canary_routing::{Permission, Permissions};

use super::metrics::Registry;
use super::metrics::catalogue::OVERRIDES;
use crate::host::Host;

/// Counts the control headers of one request.
pub(crate) fn count(host: &impl Host, registry: &Registry, permissions: Permissions) {
    for (kind, permission) in [("version", permissions.version), ("explain", permissions.explain)] {
        if permission != Permission::NotAsked {
            registry.count(host, &OVERRIDES, &[kind, permission.as_str()]);
        }
    }
}
