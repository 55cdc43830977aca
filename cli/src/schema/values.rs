//! Small values that several fields share.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// A duration: one or more numbers with their units (`h`, `m`, `s`, `ms`, `us`), such as `1.5s`; at least 1ms, in whole
/// milliseconds.
#[derive(Debug, JsonSchema)]
#[schemars(extend("patternErrorMessage" = "a duration is a number with its unit, such as 1.5s or 200ms"))]
pub struct Duration(#[schemars(regex(pattern = r"^(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|h|m|s))+$"))] pub String);

/// How long a browser keeps a cookie: a duration in whole seconds, or whole days, such as `30d`.
#[derive(Debug, JsonSchema)]
#[schemars(extend("patternErrorMessage" = "an age is a number with its unit, such as 30d or 12h"))]
pub struct CookieAge(
    #[schemars(regex(pattern = r"^([0-9]+d|(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|h|m|s))+)$"))] pub String,
);

/// The name of a subset, that is of a version.
#[derive(Debug, JsonSchema)]
#[schemars(extend("patternErrorMessage" = "a subset's name is of letters, digits and inner hyphens, at most 63"))]
pub struct SubsetName(#[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"))] pub String);

/// The name of a header.
#[derive(Debug, JsonSchema)]
#[schemars(extend("patternErrorMessage" = "this cannot be the name of a header"))]
pub struct HeaderName(#[schemars(regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))] pub String);

/// A port number.
#[derive(Debug, JsonSchema)]
pub struct Port(#[schemars(range(min = 1, max = 65535))] pub u16);

/// A share of the requests.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Percent {
    /// Per cent, to 1/10,000 %.
    #[schemars(range(min = 0.0, max = 100.0), extend("default" = 0))]
    pub value: Option<f64>,
}

/// Kubernetes labels.
#[derive(Debug, JsonSchema)]
pub struct Labels(pub BTreeMap<String, String>);

/// Names of namespaces; `.` is the object's own, `*` all.
#[derive(Debug, JsonSchema)]
pub struct ExportTo(pub Vec<String>);

/// Names of gateways: `name` or `namespace/name`; `mesh` means all sidecars.
#[derive(Debug, JsonSchema)]
pub struct Gateways(pub Vec<String>);

/// A gRPC status by gRPC's name.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrpcStatus {
    /// No error.
    Ok,
    /// The caller gave up.
    Cancelled,
    /// An error of no known kind.
    Unknown,
    /// The call makes no sense.
    InvalidArgument,
    /// It took too long.
    DeadlineExceeded,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// The caller may not.
    PermissionDenied,
    /// A quota or a store is used up.
    ResourceExhausted,
    /// The system is in no state for it.
    FailedPrecondition,
    /// Another call came between.
    Aborted,
    /// Beyond the end.
    OutOfRange,
    /// The server cannot do it.
    Unimplemented,
    /// Something is broken.
    Internal,
    /// The server cannot answer now.
    Unavailable,
    /// Data is lost.
    DataLoss,
    /// Who calls is not known.
    Unauthenticated,
}

/// Takes what says nothing to an editor out of what schemars makes of types: formats of numbers, line breaks of comments,
/// and an alternative for each value of an enumeration.
pub(super) fn simplify(schema: &mut Schema) {
    if schema.get("type").is_none_or(|kind| kind != "string") {
        schema.remove("format");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let constants: Option<Vec<&Value>> = alternatives.iter().map(|alternative| alternative.get("const")).collect();
    let Some(constants) = constants else { return };
    let describe = |alternative: &Value| alternative.get("description").cloned().unwrap_or_else(|| json!(""));
    let (values, told) = (json!(constants), alternatives.iter().map(describe).collect::<Value>());
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), values);
    schema.insert("enumDescriptions".to_owned(), told);
}

/// Whether an object is of a kind.
pub(super) fn of_kind(kind: &str) -> Value {
    json!({"properties": {"kind": {"const": kind}}, "required": ["kind"]})
}
