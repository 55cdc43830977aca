//! `CorsPolicy`.

use crate::error::WarningCode;
use crate::node::Node;
use crate::string_match::{StringMatch, StringMatchRules};
use crate::syntax;
use crate::values::read_duration;
use crate::vocabulary;

/// Who may call across origins. Lists are kept as they were written, joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsPolicy {
    /// Origins, case-sensitive; none means no CORS at all.
    pub allow_origins: Vec<StringMatch>,
    /// `access-control-allow-methods`.
    pub allow_methods: Option<String>,
    /// `access-control-allow-headers`.
    pub allow_headers: Option<String>,
    /// `access-control-expose-headers`.
    pub expose_headers: Option<String>,
    /// `access-control-max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `access-control-allow-credentials`.
    pub allow_credentials: bool,
    /// Answer a preflight of an unmatched origin with 200 instead of forwarding it.
    pub ignore_unmatched_preflights: bool,
}

const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];

impl CorsPolicy {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::CORS_POLICY)?;
        let deprecated = fields.get("allowOrigin");
        let origins = fields.get("allowOrigins");
        let allow_origins = match (&origins, &deprecated) {
            (Some(origins), _) => origins.read_each(read_origin),
            (None, Some(origins)) => {
                origins.warn(
                    WarningCode::Deprecated,
                    "using deprecated setting \"allowOrigin\", use \"allowOrigins\" instead",
                );
                origins.strings().into_iter().map(StringMatch::Exact).collect()
            }
            (None, None) => Vec::new(),
        };
        let list = |name, check: fn(&str) -> Result<(), String>| {
            let node = fields.get(name)?;
            node.elements()
                .filter_map(|entry| Some((entry.string()?, entry)))
                .for_each(|(text, entry)| entry.check(check(text)));
            Some(node.strings().join(",")).filter(|list| !list.is_empty())
        };
        let policy = Self {
            allow_origins,
            allow_methods: list("allowMethods", check_method),
            allow_headers: list("allowHeaders", check_header),
            expose_headers: list("exposeHeaders", check_header),
            max_age: fields.get("maxAge").and_then(|age| read_max_age(&age)),
            allow_credentials: fields.get("allowCredentials").and_then(|field| field.boolean()).unwrap_or(false),
            ignore_unmatched_preflights: fields.get("unmatchedPreflights").is_some_and(|field| read_unmatched(&field)),
        };
        fields.finish();
        Some(policy)
    }
}

fn read_origin(node: &Node<'_>) -> Option<StringMatch> {
    match StringMatch::read(node, StringMatchRules { empty_prefix: true, star_is_present: false })? {
        StringMatch::Exact(text) | StringMatch::Prefix(text) if text.is_empty() => {
            node.invalid("'' is not a valid match type for CORS allow origins");
            None
        }
        StringMatch::Present => {
            node.invalid("'' is not a valid match type for CORS allow origins");
            None
        }
        origin => Some(origin),
    }
}

fn read_max_age(node: &Node<'_>) -> Option<u64> {
    let age = read_duration(node)?;
    if age.subsec_nanos() > 0 {
        node.invalid("max_age duration is accurate only to seconds precision");
    }
    Some(age.as_secs())
}

fn read_unmatched(node: &Node<'_>) -> bool {
    match node.string() {
        Some("IGNORE") => return true,
        Some("FORWARD" | "UNSPECIFIED") | None => {}
        Some(other) => node.invalid(format!("unmatchedPreflights is FORWARD or IGNORE, not {other:?}")),
    }
    false
}

fn check_method(method: &str) -> Result<(), String> {
    if METHODS.contains(&method) { Ok(()) } else { Err(format!("{method:?} is not a supported HTTP method")) }
}

fn check_header(name: &str) -> Result<(), String> {
    match name {
        "" => Err("header name cannot be empty".to_owned()),
        "*" => Ok(()),
        name if syntax::is_header_name(name) => Ok(()),
        name => Err(format!("header name {name} is not a valid header name")),
    }
}
