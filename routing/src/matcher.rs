//! Whether a request satisfies an entry of a rule's `match`.

use crate::config::{HttpMatch, StringMatch};
use crate::path;
use crate::request::{Claim, RequestView};

impl HttpMatch {
    /// Whether the request satisfies everything but the selectors `port`, `gateways`, `sourceLabels` and
    /// `sourceNamespace`, which belong to the proxy and the port, not to the request's content.
    pub(crate) fn is_match(&self, request: &impl RequestView) -> bool {
        let text = |wanted: &Option<StringMatch>, value: &[u8]| {
            // An empty pseudo-header is one that the request does not have.
            wanted.as_ref().is_none_or(|wanted| !value.is_empty() && wanted.is_match(value))
        };
        self.uri.as_ref().is_none_or(|uri| self.uri_matches(uri, path::without_query(request.path())))
            && text(&self.method, request.method())
            && text(&self.authority, request.authority())
            && text(&self.scheme, request.scheme())
            && self.headers.iter().all(|(name, wanted)| header_matches(request, name, wanted))
            && !self.without_headers.iter().any(|(name, unwanted)| {
                header_matches(request, name, unwanted)
                    || (*unwanted != StringMatch::Present && missing_matches(request, name, unwanted))
            })
            && self.claims.iter().all(|(path, wanted)| claim_matches(request, path, wanted))
            && !self.without_claims.iter().any(|(path, unwanted)| claim_matches(request, path, unwanted))
            && self.query_params.iter().all(|(name, wanted)| {
                path::query_param(request.path(), name.as_bytes()).is_some_and(|value| wanted.is_match(value))
            })
    }

    fn uri_matches(&self, uri: &StringMatch, path: &[u8]) -> bool {
        if !self.ignore_uri_case {
            return uri.is_match(path);
        }
        match uri {
            StringMatch::Exact(exact) => path.eq_ignore_ascii_case(exact.as_bytes()),
            StringMatch::Prefix(prefix) => {
                path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            }
            StringMatch::Regex(_) | StringMatch::Present => uri.is_match(path),
        }
    }
}

/// Whether any line of the header satisfies the match. Blanks around a value do not count, as for Envoy's codecs.
fn header_matches(request: &impl RequestView, name: &str, wanted: &StringMatch) -> bool {
    match pseudo_header(request, name) {
        Some(value) => !value.is_empty() && wanted.is_match(value),
        None => request.header(name).any(|line| wanted.is_match(line.trim_ascii())),
    }
}

/// String claims that hold a list, separated by blanks; istiod has Envoy's JWT filter take them apart.
const BLANK_SEPARATED_CLAIMS: [&str; 2] = ["scope", "permission"];

/// Whether a claim, or any element of a list, satisfies the match.
fn claim_matches(request: &impl RequestView, path: &[String], wanted: &StringMatch) -> bool {
    let is_list = matches!(path, [name] if BLANK_SEPARATED_CLAIMS.contains(&name.as_str()));
    match request.claim(path) {
        Claim::None => false,
        Claim::Text(text) if is_list => text.split(|byte| *byte == b' ').any(|element| wanted.is_match(element)),
        Claim::Text(text) => wanted.is_match(&text),
        Claim::List(list) => list.iter().any(|element| wanted.is_match(element)),
    }
}

/// An inverted matcher takes an absent header as an empty one (istiod sets `treat_missing_header_as_empty`).
fn missing_matches(request: &impl RequestView, name: &str, unwanted: &StringMatch) -> bool {
    let missing = match pseudo_header(request, name) {
        Some(value) => value.is_empty(),
        None => request.header(name).next().is_none(),
    };
    missing && unwanted.is_match(b"")
}

/// The pseudo-headers that a header matcher can name; Envoy knows `host` as another name of `:authority`.
fn pseudo_header<'r>(request: &'r impl RequestView, name: &str) -> Option<&'r [u8]> {
    match name {
        ":authority" | "host" => Some(request.authority()),
        ":method" => Some(request.method()),
        ":path" => Some(request.path()),
        ":scheme" => Some(request.scheme()),
        _ => None,
    }
}
