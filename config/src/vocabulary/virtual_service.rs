//! VirtualService and its rules.

use super::object::{Object, object};

#[cfg(feature = "reference")]
use super::{
    http_match::{HTTP_MATCH, STRING_MATCH},
    object::reference::{Kind, Reference, Source, field},
    scalars::{
        CORS_METHOD, DERIVE_PORT, DURATION, EXPORT_TO, GATEWAYS, GRPC_STATUS, HEADER_NAME, PORT, UNMATCHED_PREFLIGHTS,
        retry_on,
    },
};
#[cfg(feature = "reference")]
use Kind::{Any, Boolean, Integer, List, Map, Named, Nested, NotSupported, Pattern, Schema, Text};
#[cfg(feature = "reference")]
use Source::Istio;

object!(VIRTUAL_SERVICE, "VirtualService", Istio("virtual-service/#VirtualService"), "Hosts and their rules.", [
    "hosts" => field(List(&Text), "Exact names and wildcards (`*.example.com`). A short name is a service of the object's namespace. A sidecar knows it as `reviews` (in that namespace only), `reviews.ns`, `reviews.ns.svc` and the full name. The exact name wins, then the longest wildcard, then `*`; ports and case do not count. An object without hosts is a delegate.");
    "gateways" => field(Named(&GATEWAYS), "Where the rules act. Absent means all sidecars (`mesh`).");
    "exportTo" => field(Named(&EXPORT_TO), "Which namespaces see the object. Absent means all.");
    "http" => field(List(&Nested(&HTTP_ROUTE)), "Rules in order. The first that matches counts.");
    "tls" => field(Any, "Not carried out: an HTTP filter sees HTTP requests only.");
    "tcp" => field(Any, "Not carried out: an HTTP filter sees HTTP requests only.");
]);

object!(HTTP_ROUTE, "HttpRoute", Istio("virtual-service/#HTTPRoute"), "One rule. It has a `route`, a `redirect`, a `directResponse` or a `delegate`.", [
    "name" => field(Text, "The rule's name.");
    "match" => field(List(&Nested(&HTTP_MATCH)), "Alternatives. Absent means that the rule takes every request.");
    "route" => field(List(&Nested(&HTTP_ROUTE_DESTINATION)), "Destinations with their weights.");
    "redirect" => field(Nested(&REDIRECT), "Answer with a redirect.");
    "directResponse" => field(Nested(&DIRECT_RESPONSE), "Answer with a body.");
    "delegate" => field(Nested(&DELEGATE), "The VirtualService that has the rules. One level; its matches must lie within this rule's.");
    "rewrite" => field(Nested(&REWRITE), "The path and authority that the upstream sees.");
    "timeout" => field(Named(&DURATION), "Limit of the whole exchange, all tries included.");
    "retries" => field(Nested(&RETRIES), "When to try again.");
    "fault" => field(Nested(&FAULT), "Delays and aborts.");
    "mirror" => field(Nested(&DESTINATION), "The destination that gets a copy of each request. A copy carries no control header, and `x-canary-shadow: true`.");
    "mirrorPercentage" => field(Nested(&PERCENT), "The share of requests that `mirror` gets copies of. Absent means all.");
    "mirrorPercent" => field(Integer(0, 100), "Deprecated: use `mirrorPercentage`.").deprecated("use mirrorPercentage instead");
    "mirrors" => field(List(&Nested(&MIRROR)), "Destinations that get copies, up to three.");
    "corsPolicy" => field(Nested(&CORS_POLICY), "Calls from pages of other origins.");
    "headers" => field(Nested(&HEADERS), "Header operations for all destinations. With one destination its own `set` wins; in a split the rule's wins.");
]);

object!(HTTP_ROUTE_DESTINATION, "HttpRouteDestination", Istio("virtual-service/#HTTPRouteDestination"), "A weighted destination.", [
    "destination" => field(Nested(&DESTINATION), "The host, version and port.").required();
    "weight" => field(Integer(0, 2_147_483_647), "Its share is its weight over the sum of the rule's weights. A lone destination takes all requests.").default("0");
    "headers" => field(Nested(&HEADERS), "Header operations for this destination alone.");
]);

object!(DESTINATION, "Destination", Istio("virtual-service/#Destination"), "A host, one of its versions, a port.", [
    "host" => field(Text, "The host. A short name is a service of the object's namespace.").required();
    "subset" => field(Pattern(r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)?$", ""), "A subset of the host's DestinationRules.");
    "port" => field(Nested(&PORT_SELECTOR), "The port. Absent means the service's only port, else the port that the client asked for.");
]);

object!(PORT_SELECTOR, "PortSelector", Istio("virtual-service/#PortSelector"), "A port by its number.", [
    "number" => field(Named(&PORT), "The number.").required();
]);

object!(REDIRECT, "Redirect", Istio("virtual-service/#HTTPRedirect"), "A redirect. Parts that are not named come from the request.", [
    "uri" => field(Text, "The new path.");
    "prefixRewrite" => field(Text, "Replaces the matched prefix.");
    "authority" => field(Text, "The new authority.");
    "scheme" => field(Pattern(r"^(https?)?$", "a scheme is http or https"), "The new scheme, `http` or `https`.");
    "port" => field(Named(&PORT), "The new port.");
    "derivePort" => field(Named(&DERIVE_PORT), "How the new port is derived.");
    "redirectCode" => field(Integer(0, 399), "The status: 301, 302, 303, 307 or 308. 0 means 301.").default("301");
]);

object!(DIRECT_RESPONSE, "DirectResponse", Istio("virtual-service/#HTTPDirectResponse"), "A local reply with a body.", [
    "status" => field(Integer(200, 599), "The status.").required();
    "body" => field(Nested(&BODY), "The body.");
]);

object!(BODY, "Body", Istio("virtual-service/#HTTPBody"), "A body: one of these fields.", [
    "string" => field(Text, "The body as text.");
    "bytes" => field(Text, "The body as base64.");
]);

object!(DELEGATE, "Delegate", Istio("virtual-service/#Delegate"), "A VirtualService without hosts.", [
    "name" => field(Text, "Its name.").required();
    "namespace" => field(Text, "Its namespace. Absent means this object's.");
]);

object!(REWRITE, "Rewrite", Istio("virtual-service/#HTTPRewrite"), "The path and authority that the upstream sees.", [
    "uri" => field(Text, "Replaces the matched prefix (`/` without a match on `uri`), or the whole path after an `exact` or `regex` match.");
    "uriRegexRewrite" => field(Nested(&REGEX_REWRITE), "Replaces every match of a pattern in the path.");
    "authority" => field(Text, "The new authority.");
]);

object!(REGEX_REWRITE, "RegexRewrite", Istio("virtual-service/#RegexRewrite"), "A pattern and its replacement.", [
    "match" => field(Text, "The pattern, in RE2's syntax.");
    "rewrite" => field(Text, "The replacement. `\\1` is a group.");
]);

object!(RETRIES, "Retries", Istio("virtual-service/#HTTPRetry"), "How often a request is tried again, and after what.", [
    "attempts" => field(Integer(0, 2_147_483_647), "Tries after the first. 0 turns retries off. With a `fallback` order each further try goes to the next version.").default("0").see("failures.md#requests-that-may-be-repeated");
    "perTryTimeout" => field(Named(&DURATION), "Limit of each try.");
    "retryOn" => field(Schema(retry_on), "Envoy's conditions for HTTP and gRPC, and status codes, joined by commas.").default(r#""connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes""#);
    "retryIgnorePreviousHosts" => field(Boolean, "Not carried out: it needs the retry policy of a native route.");
    "retryRemoteLocalities" => field(Boolean, "Not carried out: it needs the retry policy of a native route.");
    "backoff" => field(Named(&DURATION), "Not carried out: it needs the retry policy of a native route.");
]);

object!(FAULT, "Fault", Istio("virtual-service/#HTTPFaultInjection"), "What a rule injects. Delay and abort are drawn independently; the delay comes first.", [
    "delay" => field(Nested(&FAULT_DELAY), "Delay the request before it is forwarded.");
    "abort" => field(Nested(&FAULT_ABORT), "Answer instead of forwarding the request.");
]);

object!(FAULT_DELAY, "FaultDelay", Istio("virtual-service/#HTTPFaultInjection-Delay"), "A delay.", [
    "fixedDelay" => field(Named(&DURATION), "How long.");
    "percentage" => field(Nested(&PERCENT), "The share of requests, to 1/10,000 %. Absent means none.");
    "percent" => field(Integer(0, 100), "Deprecated: use `percentage`.").deprecated("use percentage instead");
    "exponentialDelay" => field(NotSupported, "Not supported.");
]);

object!(FAULT_ABORT, "FaultAbort", Istio("virtual-service/#HTTPFaultInjection-Abort"), "An abort, with an HTTP status or a gRPC status.", [
    "httpStatus" => field(Integer(200, 599), "The HTTP status.");
    "grpcStatus" => field(Named(&GRPC_STATUS), "The gRPC status.");
    "http2Error" => field(NotSupported, "Not supported.");
    "percentage" => field(Nested(&PERCENT), "The share of requests, to 1/10,000 %. Absent means none.");
]);

object!(MIRROR, "Mirror", Istio("virtual-service/#HTTPMirrorPolicy"), "A destination that gets copies.", [
    "destination" => field(Nested(&DESTINATION), "The host, version and port.").required();
    "percentage" => field(Nested(&PERCENT), "The share of requests that are copied. Absent means all; 0 turns the mirror off.");
]);

object!(PERCENT, "Percent", Istio("virtual-service/#Percent"), "A share of the requests.", [
    "value" => field(Kind::Number(0.0, 100.0), "Per cent, to 1/10,000 %.").default("0");
]);

object!(CORS_POLICY, "CorsPolicy", Istio("virtual-service/#CorsPolicy"), "Which pages of other origins may call.", [
    "allowOrigins" => field(List(&Nested(&STRING_MATCH)), "Origins. Absent means that CORS is off.");
    "allowOrigin" => field(List(&Text), "Deprecated: use `allowOrigins`.").deprecated("use allowOrigins instead");
    "allowMethods" => field(List(&Named(&CORS_METHOD)), "`access-control-allow-methods`.");
    "allowHeaders" => field(List(&Named(&HEADER_NAME)), "`access-control-allow-headers`.");
    "exposeHeaders" => field(List(&Named(&HEADER_NAME)), "`access-control-expose-headers`.");
    "maxAge" => field(Named(&DURATION), "`access-control-max-age`, in whole seconds.");
    "allowCredentials" => field(Boolean, "`access-control-allow-credentials`.").default("false");
    "unmatchedPreflights" => field(Named(&UNMATCHED_PREFLIGHTS), "What happens to a preflight from an origin that is not allowed.").default(r#""FORWARD""#);
]);

object!(HEADERS, "Headers", Istio("virtual-service/#Headers"), "Operations on headers.", [
    "request" => field(Nested(&HEADER_OPERATIONS), "Before the request goes upstream. `host` or `:authority` in `set` or `add` is a host rewrite.");
    "response" => field(Nested(&HEADER_OPERATIONS), "Before the response goes to the client.");
]);

object!(HEADER_OPERATIONS, "HeaderOperations", Istio("virtual-service/#Headers-HeaderOperations"), "`remove` comes first, then `set`, then `add`. Values are Envoy's format strings: `%%`, `%REQ(NAME?ALTERNATIVE):LENGTH%`, `%ROUTE_NAME%`, `%PROTOCOL%`, `%REQUESTED_SERVER_NAME%`, `%DOWNSTREAM_REMOTE_ADDRESS%` and its relatives. Any other command is rejected by name.", [
    "set" => field(Map(&Text), "Replaces all values of each header.");
    "add" => field(Map(&Text), "Adds a value to each header.");
    "remove" => field(List(&Text), "Headers to remove.");
]);
