//! `Headers`: what a rule or a destination does to the headers of requests and responses.

use crate::format::Format;
use crate::node::{Fields, Node};
use crate::sorted::sorted;
use crate::syntax;
use crate::vocabulary;

/// Operations on requests and responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Before the request goes upstream.
    pub request: HeaderOperations,
    /// Before the response goes to the client.
    pub response: HeaderOperations,
    /// `host` or `:authority` in the request's `set` (or else `add`): a host rewrite, no header.
    pub authority: Option<Authority>,
}

/// A rewritten authority, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The new value.
    pub value: String,
    /// How many entries of set and add name the authority.
    pub(super) entries: usize,
}

/// Removals come first, then `set` (which replaces all lines), then `add` (which appends one). Names are in lower case and
/// in their order; entries with an empty value do nothing and are left out, as in Envoy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderOperations {
    /// Headers to remove.
    pub remove: Vec<String>,
    /// Headers to set.
    pub set: Vec<(String, Format)>,
    /// Headers to add.
    pub add: Vec<(String, Format)>,
}

impl Headers {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::HEADERS)?;
        let mut authority = Vec::new();
        let request = fields.get("request").and_then(|request| HeaderOperations::read(&request, Some(&mut authority)));
        let response = fields.get("response").and_then(|response| HeaderOperations::read(&response, None));
        fields.finish();
        let entries = authority.len();
        Some(Self {
            request: request.unwrap_or_default(),
            response: response.unwrap_or_default(),
            authority: authority.into_iter().next().map(|value| Authority { value, entries }),
        })
    }
}

impl HeaderOperations {
    /// `authorities` takes the values of the authority in `set` and `add`; `None` where it cannot be set.
    fn read(node: &Node<'_>, mut authorities: Option<&mut Vec<String>>) -> Option<Self> {
        let fields = node.object(&vocabulary::HEADER_OPERATIONS)?;
        let set = read_values(&fields, "set", authorities.as_deref_mut());
        let add = read_values(&fields, "add", authorities);
        let mut remove = Vec::new();
        if let Some(names) = fields.get("remove") {
            for name in names.elements() {
                let Some(text) = name.string() else { continue };
                name.check(check_name(text, false));
                remove.push(text.to_ascii_lowercase());
            }
        }
        fields.finish();
        Some(Self { remove, set, add })
    }
}

fn read_values(
    fields: &Fields<'_>,
    field: &'static str,
    mut authorities: Option<&mut Vec<String>>,
) -> Vec<(String, Format)> {
    let Some(node) = fields.get(field) else { return Vec::new() };
    let mut values = Vec::new();
    for (name, value) in node.entries().into_iter().flatten() {
        value.check(check_name(name, authorities.is_some()));
        let Some(text) = value.string() else { continue };
        let name = name.to_ascii_lowercase();
        match Format::parse(text) {
            Err(error) => value.invalid(error.to_string()),
            Ok(_) if matches!(name.as_str(), "host" | ":authority") => {
                if let Some(authorities) = authorities.as_deref_mut() {
                    authorities.push(text.to_owned());
                }
            }
            Ok(_) if text.is_empty() => {}
            Ok(format) => values.push((name, format)),
        }
    }
    sorted(values, |(left, _), (right, _)| left.cmp(right))
}

fn check_name(name: &str, may_be_authority: bool) -> Result<(), String> {
    let is_authority = name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    match name {
        "" => Err("header name cannot be empty".to_owned()),
        _ if is_authority && may_be_authority => Ok(()),
        name if name.eq_ignore_ascii_case("host") => Err(format!("invalid header {name:?}: cannot set Host header")),
        name if name.starts_with(':') => Err(format!("invalid header {name:?}: header cannot have \":\" prefix")),
        name if syntax::is_header_name(name) => Ok(()),
        name => Err(format!("header name {name} is not a valid header name")),
    }
}
