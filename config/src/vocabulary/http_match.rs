//! `HTTPMatchRequest`: one alternative of a rule's `match`.

use super::object::{Object, object};

#[cfg(feature = "reference")]
use super::{
    object::reference::{Kind, Reference, Source, field},
    scalars::{GATEWAYS, LABELS, PORT},
};
#[cfg(feature = "reference")]
use Kind::{Any, Boolean, Map, Named, Nested, Text};

#[cfg(feature = "reference")]
const MATCH_PAGE: Source = Source::Istio("virtual-service/#HTTPMatchRequest");

object!(HTTP_MATCH, "HttpMatch", MATCH_PAGE, "One alternative: every condition in it must hold.", [
    "name" => field(Text, "The route's name is the rule's name, a dot, and this name.");
    "uri" => field(Nested(&STRING_MATCH), "The path without its query. `prefix` is a plain string prefix.");
    "scheme" => field(Nested(&STRING_MATCH), "The scheme, as sent, case-sensitive.");
    "method" => field(Nested(&STRING_MATCH), "The method, as sent, case-sensitive.");
    "authority" => field(Nested(&STRING_MATCH), "The authority, as sent, case-sensitive.");
    "headers" => field(Map(&Nested(&STRING_MATCH)), "Headers that must match. Each value of a repeated header is compared by itself. `{}` means that the header is present. Match cookies by `regex` on `cookie`. At gateways, `@request.auth.claims.groups` or `@request.auth.claims[a][b]` is a claim of the JWT that Envoy's `jwt_authn` filter validated: a string, or any element of a list.");
    "withoutHeaders" => field(Map(&Nested(&STRING_MATCH)), "Headers that must not match.");
    "queryParams" => field(Map(&Nested(&STRING_MATCH)), "The first value of each query parameter, as sent.");
    "ignoreUriCase" => field(Boolean, "Compare `uri` without case. It counts for `exact` and `prefix` only.").default("false");
    "port" => field(Named(&PORT), "The port that the client asked for.");
    "sourceLabels" => field(Named(&LABELS), "Labels that the proxy's workload must have. Resolved against `proxy.labels` when the configuration is loaded.");
    "sourceNamespace" => field(Text, "The namespace of the proxy's workload. Resolved against `proxy.namespace` when the configuration is loaded.");
    "gateways" => field(Named(&GATEWAYS), "Gateways at which the alternative counts. Resolved against `proxy.gateways` when the configuration is loaded.");
    "statPrefix" => field(Any, "Not carried out: Envoy's per-route statistics need a native route.");
]);

object!(STRING_MATCH, "StringMatch", Source::Istio("virtual-service/#StringMatch"), "How a text is compared: one of these fields. `{}` means that the text is present.", [
    "exact" => field(Text, "The text is equal.");
    "prefix" => field(Text, "The text starts with this string.");
    "regex" => field(Text, "The whole text matches, in RE2's syntax.").see("limits.md");
]);
