//! `policies`: what the VirtualService API has no words for.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::{CookieAge, Duration, HeaderName, SubsetName};
use super::virtual_service::Fault;

/// What holds for the versions of some hosts.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// The destination hosts that the policy is for.
    #[schemars(length(min = 1))]
    pub hosts: Vec<String>,
    /// The namespace of short names.
    #[schemars(extend("default" = "default"))]
    pub namespace: Option<String>,
    /// The version that is always able to run.
    pub default_subset: Option<SubsetName>,
    /// The order in which versions are tried when the chosen one cannot serve; it ends with the default.
    pub fallback: Option<Vec<SubsetName>>,
    /// The client names its version; what is unknown becomes the default before rules are matched.
    pub version_header: Option<VersionHeader>,
    /// The same user gets the same version.
    pub sticky: Option<Sticky>,
    /// A version's share that moves by the clock, at the expense of the default.
    pub ramp: Option<Ramp>,
    /// Every rule with a destination of these hosts sends to the default.
    #[schemars(extend("default" = false))]
    pub frozen: Option<bool>,
    /// Faults of single versions, in place of the rule's of the same kind.
    pub faults: Option<Vec<VersionFault>>,
    /// Versions that fail are ejected for a while.
    pub failure_accrual: Option<FailureAccrual>,
    /// Which requests may be repeated on the next version of the order, and after what.
    pub retry_next: Option<RetryNext>,
}

/// Which requests may be repeated on the next version, beside those that no upstream has got.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryNext {
    /// Envoy's conditions. Those of gRPC need `POST` among the methods.
    pub on: Option<Vec<RetryCondition>>,
    /// Statuses that are retried.
    pub statuses: Option<Vec<RetriableStatus>>,
    /// The methods of requests that may be repeated; absent are GET, HEAD and OPTIONS.
    #[schemars(length(min = 1))]
    pub methods: Option<Vec<Method>>,
    /// Tries after the first, at most as many as the order is long; absent means as many. Envoy counts all tries of a request together.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempts: Option<u32>,
    /// Limit of each try.
    pub per_try_timeout: Option<Duration>,
}

/// What Envoy calls a failure.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum RetryCondition {
    /// Any answer of the class, no answer, or a reset.
    #[schemars(rename = "5xx")]
    Any5xx,
    /// 502, 503 and 504.
    GatewayError,
    /// No answer: the connection or the stream has broken, or a time limit is over.
    Reset,
    /// The same before the request was sent.
    ResetBeforeRequest,
    /// No connection.
    ConnectFailure,
    /// 409.
    #[schemars(rename = "retriable-4xx")]
    Retriable4xx,
    /// The upstream has refused the stream.
    RefusedStream,
    /// The statuses of `statuses`.
    RetriableStatusCodes,
    /// An Envoy has limited the rate.
    EnvoyRatelimited,
    /// gRPC's CANCELLED.
    Cancelled,
    /// gRPC's DEADLINE_EXCEEDED.
    DeadlineExceeded,
    /// gRPC's INTERNAL.
    Internal,
    /// gRPC's RESOURCE_EXHAUSTED.
    ResourceExhausted,
    /// gRPC's UNAVAILABLE.
    Unavailable,
}

/// A status that is retried.
#[derive(Debug, JsonSchema)]
pub struct RetriableStatus(#[schemars(range(min = 400, max = 599))] pub u16);

/// A method in upper case.
#[derive(Debug, JsonSchema)]
pub struct Method(#[schemars(regex(pattern = r"^[A-Z0-9!#$%&'*+.^_`|~-]+$"))] pub String);

/// A request header whose value is a version.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VersionHeader {
    /// The header; no control header can be one.
    pub name: HeaderName,
    /// Which requests it counts for; absent means all.
    #[schemars(length(min = 1))]
    pub protocols: Option<Vec<Protocol>>,
    /// The known versions; absent means the subsets of the host's DestinationRules. The default is always known.
    #[schemars(length(min = 1))]
    pub versions: Option<Vec<SubsetName>>,
}

/// A kind of requests.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum Protocol {
    /// Requests whose content type starts with `application/grpc`.
    Grpc,
    /// All others.
    Http,
}

/// The same user gets the same version.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sticky {
    /// What a user is known by: the first that the request has and that is not empty.
    #[schemars(length(min = 1))]
    pub keys: Vec<StickyKey>,
    /// Another salt deals all users anew; services with the same salt have the same users in their canaries first.
    #[schemars(extend("default" = ""))]
    pub salt: Option<String>,
    /// The canaries' places along the ring, outermost first; those not named follow by name.
    pub order: Option<Vec<SubsetName>>,
    /// A cookie for users who have none of the keys; absent leaves them to chance.
    pub issue_cookie: Option<IssueCookie>,
}

/// A place where a user's key may stand: one of these fields.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct StickyKey {
    /// A header's first line.
    pub header: Option<HeaderName>,
    /// The first cookie of that name.
    pub cookie: Option<HeaderName>,
    /// The first value of a query parameter, as sent.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// A string claim of the JWT that Envoy's `jwt_authn` filter validated: `sub`, `a.b` or `[a][b]`.
    #[schemars(length(min = 1))]
    pub claim: Option<String>,
    /// The network of the client's address.
    pub source_ip: Option<SourceIp>,
}

/// How much of a client's address counts.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceIp {
    /// Bits of an IPv4 address.
    #[schemars(range(min = 0, max = 32), extend("default" = 32))]
    pub prefix_length: Option<u8>,
    /// Bits of an IPv6 address.
    #[schemars(range(min = 0, max = 128), extend("default" = 64))]
    pub prefix_length6: Option<u8>,
}

/// The cookie that a new user gets.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssueCookie {
    /// Its name, which one of `keys` reads.
    pub name: HeaderName,
    /// How long a browser keeps it; absent means until it is closed.
    pub max_age: Option<CookieAge>,
    /// The paths that it is sent to.
    #[schemars(regex(pattern = r"^/"), extend("default" = "/"))]
    pub path: Option<String>,
    /// The domain that it is sent to with its subdomains; absent means this very host.
    pub domain: Option<String>,
    /// Whether requests that come from other sites carry it.
    #[schemars(extend("default" = "Lax"))]
    pub same_site: Option<SameSite>,
    /// Whether it travels by HTTPS only; absent means where the request came by HTTPS.
    pub secure: Option<bool>,
    /// Whether scripts cannot read it.
    #[schemars(extend("default" = true))]
    pub http_only: Option<bool>,
}

/// `SameSite` of a cookie.
#[derive(Debug, JsonSchema)]
pub enum SameSite {
    /// Sent by requests from the same site only.
    Strict,
    /// Also when a link from another site is followed.
    Lax,
    /// Sent with every request; browsers want `secure: true` beside it.
    None,
}

/// A version's share over time: `from` until `start`, evenly to `to` within `duration`, and `to` ever after.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Ramp {
    /// The version, which is not the default.
    pub subset: SubsetName,
    /// Its share of all requests before the start, in per cent.
    #[schemars(range(min = 0.0, max = 100.0), extend("default" = 0))]
    pub from: Option<f64>,
    /// Its share after the end, in per cent.
    #[schemars(range(min = 0.0, max = 100.0), extend("default" = 100))]
    pub to: Option<f64>,
    /// When it begins to move (RFC 3339), such as `2026-11-21T08:00:00Z`.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// How long it moves.
    pub duration: Duration,
}

/// The fault of one version.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VersionFault {
    /// The version.
    pub subset: SubsetName,
    /// What is injected, and for whom.
    pub fault: Fault,
}

/// When a version that fails is ejected, and how it comes back; `{}` takes every default.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureAccrual {
    /// So many failures in succession eject; 0 never does.
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 5))]
    pub consecutive_failures: Option<u32>,
    /// This share of failures within `window` ejects; absent never does.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
    pub failure_ratio: Option<f64>,
    /// How far back the ratio looks, 1s to 1h.
    #[schemars(extend("default" = "10s"))]
    pub window: Option<Duration>,
    /// With fewer requests in the window the ratio says nothing.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub min_requests: Option<u32>,
    /// Answers that are failures: classes and numbers.
    #[schemars(extend("default" = ["5xx"]))]
    pub statuses: Option<Vec<StatusOrClass>>,
    /// gRPC statuses that are failures.
    #[schemars(extend("default" = ["unknown", "deadline-exceeded", "internal", "unavailable", "data-loss"]))]
    pub grpc_statuses: Option<Vec<GrpcFailure>>,
    /// A request that is not answered so long after the client has sent all of it is a failure; absent waits for ever.
    pub slow_after: Option<Duration>,
    /// The first ejection; each further one in succession is twice as long.
    #[schemars(extend("default" = "30s"))]
    pub ejection: Option<Duration>,
    /// The longest ejection, at most 24h; absent is 300s, or `ejection` if that is longer.
    pub max_ejection: Option<Duration>,
    /// How the version is tried after an ejection.
    pub trial: Option<Trial>,
}

/// Requests that show whether an ejected version can serve again.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Trial {
    /// Share of the requests for the version that it gets; absent is 10 %.
    pub percentage: Option<TrialPercent>,
    /// So many successes in succession bring it back.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 3))]
    pub requests: Option<u32>,
}

/// The share of requests that are tried.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TrialPercent {
    /// Per cent, to 1/10,000 %.
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub value: Option<f64>,
}

/// HTTP statuses: a number, or a class such as `5xx`.
#[derive(Debug)]
pub struct StatusOrClass;

impl JsonSchema for StatusOrClass {
    fn schema_name() -> Cow<'static, str> {
        "StatusOrClass".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "HTTP statuses: 100 to 599, or a class such as `5xx`.",
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^[1-5](xx|[0-9][0-9])$",
            "patternErrorMessage": "a status is 100 to 599, or a class such as 5xx",
        })
    }
}

/// A gRPC status that can be a failure.
#[derive(Debug)]
pub struct GrpcFailure;

/// Istio's spelling of gRPC's names, as in `retryOn`.
const GRPC_FAILURES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
];

impl JsonSchema for GrpcFailure {
    fn schema_name() -> Cow<'static, str> {
        "GrpcFailure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let in_any_spelling = GRPC_FAILURES.map(in_any_spelling).join("|");
        json_schema!({
            "description": "A gRPC status: a name such as `unavailable` or `DATA_LOSS`, or a number from 1 to 16.",
            "anyOf": [
                {"enum": GRPC_FAILURES},
                {"type": "string", "pattern": format!("^({in_any_spelling})$")},
                {"type": "integer", "minimum": 1, "maximum": 16},
            ],
        })
    }
}

/// A pattern of a name in letters of either case, with hyphens or underscores.
fn in_any_spelling(name: &str) -> String {
    let letter = |letter: char| match letter {
        '-' => "[-_]".to_owned(),
        letter => format!("[{}{letter}]", letter.to_ascii_uppercase()),
    };
    name.chars().map(letter).collect()
}
