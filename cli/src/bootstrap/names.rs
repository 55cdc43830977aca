//! Names that several parts of a bootstrap use.

/// Name of the cluster behind the proxy's own routes: what the filter leaves untouched goes there.
pub(crate) const NATIVE_CLUSTER: &str = "native";

/// The domain of a virtual host that takes every host.
pub(super) const ANY_HOST: &str = "*";
/// Name of the route configuration.
pub(super) const ROUTES: &str = "canary";
/// Statistics of the subscription to routes.
pub(crate) const ROUTES_STATISTICS: &str = "http.canary.rds.canary";
/// The namespace of an endpoint's metadata that says which version it is.
pub(super) const METADATA: &str = "canary";
/// And the field.
pub(super) const VERSION: &str = "version";
