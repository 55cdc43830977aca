//! Values with a name, which several fields share.

use serde_json::{Value, json};

use super::object::reference::{
    Kind::{Integer, List, Map, Pattern, Schema, Text, Words},
    Named,
};
use crate::retries::{GRPC_CONDITIONS, HTTP_CONDITIONS};

macro_rules! named {
    ($id:ident, $name:literal, $description:literal, $kind:expr) => {
        #[doc = $description]
        pub(crate) static $id: Named = Named { name: $name, description: $description, kind: $kind };
    };
}

named!(
    MODE,
    "Mode",
    "Who carries out the rules.",
    Words(&[
        ("cluster", "The filter carries out the rules and names the cluster."),
        ("version", "The filter picks the version only. Native routes that match the version header do the rest."),
    ])
);

named!(
    FAULT_DELAYER,
    "FaultDelayer",
    "What delays and aborts requests.",
    Words(&[
        ("timer", "The filter itself: it pauses requests and sends local replies."),
        (
            "faultFilter",
            "Envoy's native fault filter, steered by `x-envoy-fault-*` headers (flags `DI` and `FI`). It must follow this filter in the chain, in header mode."
        ),
    ])
);

named!(
    DURATION,
    "Duration",
    "A duration: one or more numbers with their units (`h`, `m`, `s`, `ms`, `us`), such as `1.5s`. At least 1ms, in whole milliseconds.",
    Pattern(
        r"^(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|h|m|s))+$",
        "a duration is a number with its unit, such as 1.5s or 200ms"
    )
);

named!(
    COOKIE_AGE,
    "CookieAge",
    "How long a browser keeps a cookie: a duration in whole seconds, or whole days, such as `30d`.",
    Pattern(
        r"^([0-9]+d|(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|h|m|s))+)$",
        "an age is a number with its unit, such as 30d or 12h"
    )
);

named!(
    SUBSET_NAME,
    "SubsetName",
    "The name of a subset, that is of a version.",
    Pattern(
        r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
        "a subset's name consists of letters, digits and inner hyphens, at most 63"
    )
);

named!(
    HEADER_NAME,
    "HeaderName",
    "The name of a header.",
    Pattern(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "this cannot be the name of a header")
);

named!(
    HEADER_NAME_OR_NONE,
    "HeaderNameOrNone",
    "The name of a header, or `\"\"` for none.",
    Pattern(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$", "this cannot be the name of a header")
);

named!(PORT, "Port", "A port number.", Integer(1, 65_535));

named!(LABELS, "Labels", "Kubernetes labels.", Map(&Text));

named!(EXPORT_TO, "ExportTo", "Names of namespaces. `.` is the object's own, `*` means all.", List(&Text));

named!(GATEWAYS, "Gateways", "Names of gateways: `name` or `namespace/name`. `mesh` means all sidecars.", List(&Text));

named!(
    DERIVE_PORT,
    "DerivePort",
    "How a redirect's port is derived.",
    Words(&[
        ("FROM_PROTOCOL_DEFAULT", "The scheme's default."),
        ("FROM_REQUEST_PORT", "The port that the client asked for."),
    ])
);

named!(
    UNMATCHED_PREFLIGHTS,
    "UnmatchedPreflights",
    "What happens to a preflight from an origin that is not allowed.",
    Words(&[
        ("FORWARD", "It is forwarded."),
        ("IGNORE", "It is answered with 200 and no CORS headers."),
        ("UNSPECIFIED", "The same as FORWARD."),
    ])
);

named!(
    CORS_METHOD,
    "CorsMethod",
    "A method that CORS knows, or `*`.",
    Words(&[
        ("GET", "GET."),
        ("HEAD", "HEAD."),
        ("POST", "POST."),
        ("PUT", "PUT."),
        ("PATCH", "PATCH."),
        ("DELETE", "DELETE."),
        ("CONNECT", "CONNECT."),
        ("OPTIONS", "OPTIONS."),
        ("TRACE", "TRACE."),
        ("*", "Every method."),
    ])
);

named!(
    GRPC_STATUS,
    "GrpcStatus",
    "A gRPC status by gRPC's name.",
    Words(&[
        ("OK", "No error."),
        ("CANCELLED", "The caller has cancelled the call."),
        ("UNKNOWN", "An error of unknown kind."),
        ("INVALID_ARGUMENT", "An argument of the call is invalid."),
        ("DEADLINE_EXCEEDED", "The deadline has passed."),
        ("NOT_FOUND", "The entity does not exist."),
        ("ALREADY_EXISTS", "The entity exists already."),
        ("PERMISSION_DENIED", "The caller lacks the permission."),
        ("RESOURCE_EXHAUSTED", "A quota or a store is used up."),
        ("FAILED_PRECONDITION", "The system's state does not allow the call."),
        ("ABORTED", "The call was aborted, such as by a conflict with another call."),
        ("OUT_OF_RANGE", "The call reaches beyond the valid range."),
        ("UNIMPLEMENTED", "The server does not implement the call."),
        ("INTERNAL", "An internal error."),
        ("UNAVAILABLE", "The server cannot answer now."),
        ("DATA_LOSS", "Data is lost."),
        ("UNAUTHENTICATED", "The caller is not authenticated."),
    ])
);

named!(
    PROTOCOL,
    "Protocol",
    "A kind of requests.",
    Words(&[("grpc", "Requests whose content type starts with `application/grpc`."), ("http", "All others."),])
);

named!(
    SAME_SITE,
    "SameSite",
    "`SameSite` of a cookie.",
    Words(&[
        ("Strict", "Sent by requests from the same site only."),
        ("Lax", "Sent also when a link from another site is followed."),
        ("None", "Sent with every request. Browsers require `secure: true`."),
    ])
);

named!(
    RETRY_CONDITION,
    "RetryCondition",
    "What Envoy calls a failure.",
    Words(&[
        ("5xx", "A response of the class, no response, or a reset."),
        ("gateway-error", "502, 503 and 504."),
        ("reset", "No response: the connection or stream was reset, or a timeout has passed."),
        ("reset-before-request", "A reset before the request was sent."),
        ("connect-failure", "The connection failed."),
        ("retriable-4xx", "409."),
        ("refused-stream", "The upstream has refused the stream."),
        ("retriable-status-codes", "The statuses of `statuses`."),
        ("envoy-ratelimited", "An Envoy has limited the rate."),
        ("cancelled", "gRPC's CANCELLED."),
        ("deadline-exceeded", "gRPC's DEADLINE_EXCEEDED."),
        ("internal", "gRPC's INTERNAL."),
        ("resource-exhausted", "gRPC's RESOURCE_EXHAUSTED."),
        ("unavailable", "gRPC's UNAVAILABLE."),
    ])
);

named!(RETRIABLE_STATUS, "RetriableStatus", "A status that is retried.", Integer(400, 599));

named!(METHOD, "Method", "A method in upper case.", Pattern(r"^[A-Z0-9!#$%&'*+.^_`|~-]+$", ""));

named!(
    STATUS_OR_CLASS,
    "StatusOrClass",
    "HTTP statuses: 100 to 599, or a class such as `5xx`.",
    Schema(status_or_class)
);

named!(
    GRPC_FAILURE,
    "GrpcFailure",
    "A gRPC status: a name such as `unavailable` or `DATA_LOSS`, or a number from 1 to 16.",
    Schema(grpc_failure)
);

/// The kinds of Kubernetes objects.
pub(super) mod kind {
    use super::{Named, Words};

    named!(
        VIRTUAL_SERVICE,
        "VirtualServiceKind",
        "The kind of a VirtualService.",
        Words(&[("VirtualService", "Hosts and their rules.")])
    );
    named!(
        DESTINATION_RULE,
        "DestinationRuleKind",
        "The kind of a DestinationRule.",
        Words(&[("DestinationRule", "The versions of a host.")])
    );
    named!(SERVICE, "ServiceKind", "The kind of a Service.", Words(&[("Service", "A service of Kubernetes.")]));
    named!(
        SERVICE_ENTRY,
        "ServiceEntryKind",
        "The kind of a ServiceEntry.",
        Words(&[("ServiceEntry", "A service that Istio knows.")])
    );
    named!(
        ANY_SERVICE,
        "AnyServiceKind",
        "A kind that has ports.",
        Words(&[("Service", "A service of Kubernetes."), ("ServiceEntry", "A service that Istio knows.")])
    );
}

fn status_or_class() -> Value {
    json!({
        "type": ["integer", "string"],
        "minimum": 100,
        "maximum": 599,
        "pattern": "^[1-5](xx|[0-9][0-9])$",
        "patternErrorMessage": "a status is 100 to 599, or a class such as 5xx",
    })
}

/// The value of `retryOn`: conditions and status codes, joined by commas, or nothing.
pub(super) fn retry_on() -> Value {
    let conditions = [HTTP_CONDITIONS.as_slice(), &GRPC_CONDITIONS].concat().join("|");
    let condition = format!("({conditions}|[1-5][0-9][0-9])");
    json!({
        "type": "string",
        "pattern": format!("^({condition}(,{condition})*)?$"),
        "patternErrorMessage": "conditions of Envoy's retries and status codes, joined by commas without blanks",
    })
}

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

fn grpc_failure() -> Value {
    let in_any_spelling = GRPC_FAILURES.map(in_any_spelling).join("|");
    json!({"anyOf": [
        {"enum": GRPC_FAILURES},
        {"type": "string", "pattern": format!("^({in_any_spelling})$")},
        {"type": "integer", "minimum": 1, "maximum": 16},
    ]})
}

/// A pattern of a name in letters of either case, with hyphens or underscores.
fn in_any_spelling(name: &str) -> String {
    let letter = |letter: char| match letter {
        '-' => "[-_]".to_owned(),
        letter => format!("[{}{letter}]", letter.to_ascii_uppercase()),
    };
    name.chars().map(letter).collect()
}
