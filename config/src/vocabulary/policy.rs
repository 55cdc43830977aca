//! `policies`: what the VirtualService API cannot say.

use super::object::{Object, object};

#[cfg(feature = "reference")]
use super::{
    object::reference::{Kind, Reference, Source, field},
    scalars::{
        COOKIE_AGE, DURATION, GRPC_FAILURE, HEADER_NAME, METHOD, PROTOCOL, RETRIABLE_STATUS, RETRY_CONDITION,
        SAME_SITE, STATUS_OR_CLASS, SUBSET_NAME,
    },
    virtual_service::FAULT,
};
#[cfg(feature = "reference")]
use Kind::{
    Boolean, Integer, List, Named, Nested, NonEmptyList, NonEmptyText, Number, Pattern, Ratio, Text, Timestamp,
};
#[cfg(feature = "reference")]
use Source::Own;

object!(POLICY, "Policy", Own, "What holds for the versions of some hosts.", [
    "hosts" => field(NonEmptyList(&Text), "The destination hosts that the policy is for.").required();
    "namespace" => field(Text, "The namespace of short names.").default(r#""default""#);
    "defaultSubset" => field(Named(&SUBSET_NAME), "The version that is always able to run.").see("failures.md#when-a-version-cannot-serve");
    "fallback" => field(List(&Named(&SUBSET_NAME)), "The order in which versions are tried when the chosen one cannot serve. The last is the default version.").see("failures.md#when-a-version-cannot-serve");
    "versionHeader" => field(Nested(&VERSION_HEADER), "The client names its version in a header. An unknown value becomes the default version before rules are matched.");
    "sticky" => field(Nested(&STICKY), "The same user gets the same version.").see("sticky.md");
    "ramp" => field(Nested(&RAMP), "A version's share that changes by the clock. It acts on rules that name both versions; `weight: 0` is enough.").see("../tasks/ramp.md");
    "frozen" => field(Boolean, "Every rule with a destination of these hosts sends to the default version, whatever the rule, a version header or a trusted client says.").default("false");
    "faults" => field(List(&Nested(&VERSION_FAULT)), "Faults of single versions, at most one for each. They replace the rule's fault of the same kind.");
    "failureAccrual" => field(Nested(&FAILURE_ACCRUAL), "Versions that fail are ejected for a while.").see("failures.md#when-a-version-keeps-failing");
    "retryNext" => field(Nested(&RETRY_NEXT), "Which requests may be repeated on the next version of the order, and after what.").see("failures.md#requests-that-may-be-repeated");
]);

object!(RETRY_NEXT, "RetryNext", Own, "Which requests may be repeated on the next version. Requests that no upstream has got are repeated without it.", [
    "on" => field(List(&Named(&RETRY_CONDITION)), "Envoy's conditions. Those of gRPC need `POST` among the methods.");
    "statuses" => field(List(&Named(&RETRIABLE_STATUS)), "Statuses that are retried.");
    "methods" => field(NonEmptyList(&Named(&METHOD)), "The methods of requests that may be repeated. Absent means GET, HEAD and OPTIONS.");
    "attempts" => field(Integer(1, 1_000_000), "Tries after the first, at most as many as the order is long. Absent means as many. Envoy counts all tries of a request together.");
    "perTryTimeout" => field(Named(&DURATION), "Limit of each try.");
]);

object!(VERSION_HEADER, "VersionHeader", Own, "A request header whose value is a version.", [
    "name" => field(Named(&HEADER_NAME), "The header. A control header cannot be one.").required();
    "protocols" => field(NonEmptyList(&Named(&PROTOCOL)), "Which requests it counts for. Absent means all.");
    "versions" => field(NonEmptyList(&Named(&SUBSET_NAME)), "The known versions. Absent means the subsets of the host's DestinationRules. The default version is always known.");
]);

object!(STICKY, "Sticky", Own, "The same user gets the same version.", [
    "keys" => field(NonEmptyList(&Nested(&STICKY_KEY)), "What identifies a user: the first key that the request has and that is not empty.").required();
    "salt" => field(Text, "Another salt assigns all users anew. Services with the same salt have the same users in their canaries first.").default(r#""""#);
    "order" => field(List(&Named(&SUBSET_NAME)), "The canaries' places along the ring, outermost first. Canaries that are not named follow by name.");
    "issueCookie" => field(Nested(&ISSUE_COOKIE), "A cookie for users who have none of the keys. Without it, such a request gets a version at random.");
]);

object!(STICKY_KEY, "StickyKey", Own, "Where a user's key is found: one of these fields.", [
    "header" => field(Named(&HEADER_NAME), "The first value of a header.");
    "cookie" => field(Named(&HEADER_NAME), "The first cookie of that name.");
    "query" => field(NonEmptyText, "The first value of a query parameter, as sent.");
    "claim" => field(NonEmptyText, "A string claim of the JWT that Envoy's `jwt_authn` filter validated: `sub`, `a.b` or `[a][b]`.");
    "sourceIp" => field(Nested(&SOURCE_IP), "The network of the client's address.");
]);

object!(SOURCE_IP, "SourceIp", Own, "How much of a client's address counts.", [
    "prefixLength" => field(Integer(0, 32), "Bits of an IPv4 address.").default("32");
    "prefixLength6" => field(Integer(0, 128), "Bits of an IPv6 address.").default("64");
]);

object!(ISSUE_COOKIE, "IssueCookie", Own, "The cookie that a new user gets.", [
    "name" => field(Named(&HEADER_NAME), "Its name. One of `keys` must read it.").required();
    "maxAge" => field(Named(&COOKIE_AGE), "How long a browser keeps it. Absent means until the browser is closed.");
    "path" => field(Pattern(r"^/", ""), "The paths that it is sent to.").default(r#""/""#);
    "domain" => field(Text, "The domain that it is sent to, with its subdomains. Absent means the request's host only.");
    "sameSite" => field(Named(&SAME_SITE), "Whether requests from other sites carry it.").default(r#""Lax""#);
    "secure" => field(Boolean, "Whether it is sent by HTTPS only. Absent means that it is if the request came by HTTPS.");
    "httpOnly" => field(Boolean, "Whether it is hidden from scripts.").default("true");
]);

object!(RAMP, "Ramp", Own, "A version's share of all requests over time: `from` until `start`, then a linear rise to `to` over `duration`, then `to`. Envoy's clock counts when the request comes. The default version loses what this version gains.", [
    "subset" => field(Named(&SUBSET_NAME), "The version. It cannot be the default version.").required();
    "from" => field(Number(0.0, 100.0), "Its share before the start, in per cent.").default("0");
    "to" => field(Number(0.0, 100.0), "Its share after the end, in per cent.").default("100");
    "start" => field(Timestamp, "When the share starts to change (RFC 3339), such as `2026-11-21T08:00:00Z`.").required();
    "duration" => field(Named(&DURATION), "How long the change takes.").required();
]);

object!(VERSION_FAULT, "VersionFault", Own, "The fault of one version.", [
    "subset" => field(Named(&SUBSET_NAME), "The version.").required();
    "fault" => field(Nested(&FAULT), "What is injected, and for which share of requests.").required();
]);

object!(FAILURE_ACCRUAL, "FailureAccrual", Own, "When a version that fails is ejected, and how it comes back. `{}` takes every default.", [
    "consecutiveFailures" => field(Integer(0, 1_000_000), "This many failures in succession eject the version. 0 turns the condition off.").default("5");
    "failureRatio" => field(Ratio, "This share of failures within `window` ejects the version. Absent turns the condition off.");
    "window" => field(Named(&DURATION), "How far back the ratio looks, 1s to 1h.").default(r#""10s""#);
    "minRequests" => field(Integer(1, 1_000_000), "With fewer requests in the window the ratio does not count.").default("20");
    "statuses" => field(List(&Named(&STATUS_OR_CLASS)), "HTTP statuses that are failures.").default(r#"["5xx"]"#);
    "grpcStatuses" => field(List(&Named(&GRPC_FAILURE)), "gRPC statuses that are failures.").default(r#"["unknown", "deadline-exceeded", "internal", "unavailable", "data-loss"]"#);
    "slowAfter" => field(Named(&DURATION), "A request without a response for this long, after the client has sent all of it, is a failure. Absent means no limit.");
    "ejection" => field(Named(&DURATION), "The first ejection. Each further one in succession lasts twice as long.").default(r#""30s""#);
    "maxEjection" => field(Named(&DURATION), "The longest ejection, at most 24h. Absent means 300s, or `ejection` if that is longer.");
    "trial" => field(Nested(&TRIAL), "How the version is tried after an ejection.");
]);

object!(TRIAL, "Trial", Own, "Requests that show whether an ejected version can serve again.", [
    "percentage" => field(Nested(&TRIAL_PERCENT), "The share of the version's requests that it gets. Absent means 10 %.");
    "requests" => field(Integer(1, 1_000_000), "This many successes in succession bring the version back.").default("3");
]);

object!(TRIAL_PERCENT, "TrialPercent", Own, "The share of requests that are tried.", [
    "value" => field(Number(0.0001, 100.0), "Per cent, to 1/10,000 %.");
]);
