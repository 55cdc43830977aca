//! VirtualService and its rules.

use std::collections::BTreeMap;

use canary_config::{GRPC_CONDITIONS, HTTP_CONDITIONS};
use schemars::JsonSchema;
use serde_json::Value;

use super::http_match::{HttpMatch, StringMatch};
use super::values::{Duration, ExportTo, Gateways, GrpcStatus, HeaderName, Percent, Port};

/// Hosts and their rules: networking.istio.io/v1 VirtualService.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualService {
    /// Exact names and wildcards (`*.example.com`); a short name is a service of the object's namespace. None makes the object
    /// a delegate.
    pub hosts: Option<Vec<String>>,
    /// Where the rules act; absent means in all sidecars (`mesh`).
    pub gateways: Option<Gateways>,
    /// Who sees the object; absent means all.
    pub export_to: Option<ExportTo>,
    /// Rules in order; the first that matches counts.
    pub http: Option<Vec<HttpRoute>>,
    /// Not carried out: an HTTP filter sees HTTP requests only.
    pub tls: Option<Value>,
    /// Not carried out: an HTTP filter sees HTTP requests only.
    pub tcp: Option<Value>,
}

/// One rule. It has a `route`, a `redirect`, a `directResponse` or a `delegate`.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRoute {
    /// The rule's name.
    pub name: Option<String>,
    /// Alternatives; none means that the rule takes every request.
    #[schemars(rename = "match")]
    pub matches: Option<Vec<HttpMatch>>,
    /// Destinations with their weights.
    pub route: Option<Vec<HttpRouteDestination>>,
    /// Answer with a redirect.
    pub redirect: Option<Redirect>,
    /// Answer with a body.
    pub direct_response: Option<DirectResponse>,
    /// Another object goes on.
    pub delegate: Option<Delegate>,
    /// The path and authority that the upstream sees.
    pub rewrite: Option<Rewrite>,
    /// Limit of the whole exchange, tries included.
    pub timeout: Option<Duration>,
    /// When to try again.
    pub retries: Option<Retries>,
    /// Delays and aborts.
    pub fault: Option<Fault>,
    /// Who gets a copy of each request.
    pub mirror: Option<Destination>,
    /// Of how many requests `mirror` gets a copy; absent means of all.
    pub mirror_percentage: Option<Percent>,
    /// Deprecated: use `mirrorPercentage`.
    #[schemars(range(min = 0, max = 100), extend("deprecationMessage" = "use mirrorPercentage instead"))]
    pub mirror_percent: Option<u32>,
    /// Who gets copies, up to three.
    pub mirrors: Option<Vec<Mirror>>,
    /// Calls across origins.
    pub cors_policy: Option<CorsPolicy>,
    /// Header operations for all destinations.
    pub headers: Option<Headers>,
}

/// A weighted destination.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpRouteDestination {
    /// Where it is.
    pub destination: Destination,
    /// Its share is this over the sum of the rule's weights; a lone destination takes all.
    #[schemars(range(min = 0, max = 2_147_483_647), extend("default" = 0))]
    pub weight: Option<u32>,
    /// Header operations for this destination alone.
    pub headers: Option<Headers>,
}

/// A host, one of its versions, a port.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Destination {
    /// The host; a short name is a service of the object's namespace.
    pub host: String,
    /// A subset of the host's DestinationRules.
    #[schemars(regex(pattern = r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)?$"))]
    pub subset: Option<String>,
    /// The port; absent is the service's only one, else the request's.
    pub port: Option<PortSelector>,
}

/// A port by its number.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PortSelector {
    /// The number.
    pub number: Port,
}

/// A redirect. What it does not say is taken from the request.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redirect {
    /// The new path.
    pub uri: Option<String>,
    /// Replaces the matched prefix.
    pub prefix_rewrite: Option<String>,
    /// The new authority.
    pub authority: Option<String>,
    /// The new scheme, http or https.
    #[schemars(regex(pattern = r"^(https?)?$"), extend("patternErrorMessage" = "a scheme is http or https"))]
    pub scheme: Option<String>,
    /// The new port.
    pub port: Option<Port>,
    /// Where the new port comes from.
    pub derive_port: Option<DerivePort>,
    /// The status; 301, 302, 303, 307 and 308 are carried out. 0 is 301.
    #[schemars(range(min = 0, max = 399), extend("default" = 301))]
    pub redirect_code: Option<u16>,
}

/// Where a redirect's port comes from.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DerivePort {
    /// The scheme's default.
    FromProtocolDefault,
    /// The port that the client asked for.
    FromRequestPort,
}

/// An answer with a body.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DirectResponse {
    /// The status.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The body.
    pub body: Option<Body>,
}

/// A body: one of these fields.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Body {
    /// As text.
    pub string: Option<String>,
    /// As base64.
    pub bytes: Option<String>,
}

/// The VirtualService without hosts that goes on.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace; absent is this object's.
    pub namespace: Option<String>,
}

/// The path and authority that the upstream sees.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rewrite {
    /// Replaces the matched prefix (`/` where there is no uri match), or the whole path after an exact or regex match.
    pub uri: Option<String>,
    /// Replaces every hit of a pattern in the path.
    pub uri_regex_rewrite: Option<RegexRewrite>,
    /// The new authority.
    pub authority: Option<String>,
}

/// A pattern and what stands in its place.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegexRewrite {
    /// The pattern, in RE2's syntax.
    #[schemars(rename = "match")]
    pub pattern: Option<String>,
    /// The replacement; `\1` is a group.
    pub rewrite: Option<String>,
}

/// How often and after what a request is tried again.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// Tries after the first; 0 switches retries off.
    #[schemars(range(min = 0, max = 2_147_483_647), extend("default" = 0))]
    pub attempts: Option<u32>,
    /// Limit of each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions of HTTP and gRPC and status codes, joined by commas.
    #[schemars(
        regex(pattern = retry_on()),
        extend(
            "default" = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "patternErrorMessage" = "conditions of Envoy's retries and status codes, joined by commas without blanks"
        )
    )]
    pub retry_on: Option<String>,
    /// Not carried out: it needs the retry policy of a native route.
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Not carried out: it needs the retry policy of a native route.
    pub retry_remote_localities: Option<bool>,
    /// Not carried out: it needs the retry policy of a native route.
    pub backoff: Option<Duration>,
}

/// What a rule injects; delay and abort draw independently, the delay comes first.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Fault {
    /// Wait before anything else happens.
    pub delay: Option<FaultDelay>,
    /// Answer instead of forwarding.
    pub abort: Option<FaultAbort>,
}

/// A delay.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultDelay {
    /// How long.
    pub fixed_delay: Option<Duration>,
    /// For whom; absent means nobody.
    pub percentage: Option<Percent>,
    /// Deprecated: use `percentage`.
    #[schemars(range(min = 0, max = 100), extend("deprecationMessage" = "use percentage instead"))]
    pub percent: Option<u32>,
    /// Not supported.
    pub exponential_delay: Option<NotSupported>,
}

/// An abort, with an HTTP status or a gRPC status.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultAbort {
    /// The HTTP status.
    #[schemars(range(min = 200, max = 599))]
    pub http_status: Option<u16>,
    /// The gRPC status.
    pub grpc_status: Option<GrpcStatus>,
    /// Not supported.
    #[schemars(rename = "http2Error")]
    pub http2_error: Option<NotSupported>,
    /// For whom; absent means nobody.
    pub percentage: Option<Percent>,
}

/// What Istio's API names and does not support.
#[derive(Debug, JsonSchema)]
#[schemars(extend("errorMessage" = "not supported, by Istio neither", "doNotSuggest" = true))]
pub struct NotSupported(pub ());

/// A target of copies.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Mirror {
    /// Who gets the copy.
    pub destination: Destination,
    /// Of how many requests; absent means of all.
    pub percentage: Option<Percent>,
}

/// Who may call across origins.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorsPolicy {
    /// Origins; none means no CORS at all.
    pub allow_origins: Option<Vec<StringMatch>>,
    /// Deprecated: use `allowOrigins`.
    #[schemars(extend("deprecationMessage" = "use allowOrigins instead"))]
    pub allow_origin: Option<Vec<String>>,
    /// `access-control-allow-methods`.
    pub allow_methods: Option<Vec<Method>>,
    /// `access-control-allow-headers`.
    pub allow_headers: Option<Vec<HeaderName>>,
    /// `access-control-expose-headers`.
    pub expose_headers: Option<Vec<HeaderName>>,
    /// `access-control-max-age`, in whole seconds.
    pub max_age: Option<Duration>,
    /// `access-control-allow-credentials`.
    #[schemars(extend("default" = false))]
    pub allow_credentials: Option<bool>,
    /// What becomes of a preflight of an origin that is not allowed.
    #[schemars(extend("default" = "FORWARD"))]
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// A method that CORS knows, or `*`.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
    /// OPTIONS.
    Options,
    /// TRACE.
    Trace,
    /// Every method.
    #[schemars(rename = "*")]
    All,
}

/// What becomes of a preflight of an origin that is not allowed.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
pub enum UnmatchedPreflights {
    /// It is forwarded.
    Forward,
    /// It is answered with 200 and no CORS headers.
    Ignore,
    /// As FORWARD.
    Unspecified,
}

/// Operations on headers.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Headers {
    /// Before the request goes upstream.
    pub request: Option<HeaderOperations>,
    /// Before the response goes to the client.
    pub response: Option<HeaderOperations>,
}

/// `remove` comes first, then `set`, then `add`. Values are Envoy's format strings: `%%`, `%REQ(NAME)%`, …
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HeaderOperations {
    /// Replaces all lines of each header.
    pub set: Option<BTreeMap<String, String>>,
    /// Appends a line to each header.
    pub add: Option<BTreeMap<String, String>>,
    /// Headers to remove.
    pub remove: Option<Vec<String>>,
}

/// The pattern of `retryOn`: conditions and status codes, joined by commas, or nothing.
fn retry_on() -> String {
    let conditions = [HTTP_CONDITIONS.as_slice(), &GRPC_CONDITIONS].concat().join("|");
    let condition = format!("({conditions}|[1-5][0-9][0-9])");
    format!("^({condition}(,{condition})*)?$")
}
