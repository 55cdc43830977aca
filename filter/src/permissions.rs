//! Counts what became of clients' wishes in control headers.

use canary_routing::{Permission, Permissions};

use crate::metrics::{self, OVERRIDES};

/// Counts the wishes of one request, if it has any.
pub(crate) fn count(permissions: Permissions) {
    for (wish, permission) in [("version", permissions.version), ("explain", permissions.explain)] {
        if permission != Permission::NotAsked {
            metrics::count(&OVERRIDES, &[wish, permission.as_str()]);
        }
    }
}
