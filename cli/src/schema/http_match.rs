//! `HTTPMatchRequest`: one alternative of a rule's `match`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::values::{Gateways, Labels, Port};

/// One alternative: everything in it has to hold.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMatch {
    /// Joins the rule's name in the route's name.
    pub name: Option<String>,
    /// The path without its query.
    pub uri: Option<StringMatch>,
    /// The scheme, as sent.
    pub scheme: Option<StringMatch>,
    /// The method, as sent.
    pub method: Option<StringMatch>,
    /// The authority, as sent.
    pub authority: Option<StringMatch>,
    /// Headers that have to match, each line of a repeated one by itself; `{}` means present. At gateways also
    /// `@request.auth.claims.NAME`.
    pub headers: Option<BTreeMap<String, StringMatch>>,
    /// Headers that must not match.
    pub without_headers: Option<BTreeMap<String, StringMatch>>,
    /// The first value of each query parameter, as sent.
    pub query_params: Option<BTreeMap<String, StringMatch>>,
    /// Compare `uri` without case (exact and prefix only).
    #[schemars(extend("default" = false))]
    pub ignore_uri_case: Option<bool>,
    /// The port that the client asked for.
    pub port: Option<Port>,
    /// Labels that the proxy's workload must have.
    pub source_labels: Option<Labels>,
    /// The namespace of the proxy's workload.
    pub source_namespace: Option<String>,
    /// Gateways at which the entry holds.
    pub gateways: Option<Gateways>,
    /// Not carried out: Envoy's per-route statistics need a native route.
    pub stat_prefix: Option<Value>,
}

/// How a text is compared: one of these fields; `{}` means that it is there.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StringMatch {
    /// Equal.
    pub exact: Option<String>,
    /// A prefix, as a plain string.
    pub prefix: Option<String>,
    /// The whole value matches, in RE2's syntax.
    pub regex: Option<String>,
}
