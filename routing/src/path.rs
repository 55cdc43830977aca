//! The parts of `:path`, and its rewriting.

use crate::config::{HttpMatch, PathRewrite, StringMatch};

/// The path without query and fragment.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    split(path).0
}

/// The query with its question mark, and what follows; empty where there is none.
pub(crate) fn query(path: &[u8]) -> &[u8] {
    split(path).1
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.split_at_checked(end).unwrap_or((path, b""))
}

/// The first value of a query parameter, as sent (nothing is decoded); a parameter without `=` has the empty value.
pub(crate) fn query_param<'p>(path: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let query = query(path).strip_prefix(b"?")?;
    let query = query.split(|byte| *byte == b'#').next()?;
    query.split(|byte| *byte == b'&').find_map(|parameter| {
        let mut halves = parameter.splitn(2, |byte| *byte == b'=');
        (halves.next() == Some(name) && !parameter.is_empty()).then(|| halves.next().unwrap_or_default())
    })
}

/// The path that the upstream sees.
pub(crate) fn rewrite(path: &[u8], matcher: Option<&HttpMatch>, rewrite: &PathRewrite) -> Vec<u8> {
    match rewrite {
        PathRewrite::Uri(uri) => replace_match(path, matcher, uri),
        PathRewrite::Regex(substitution) => {
            let (bare, query) = split(path);
            [&substitution.replace_all(bare), query].concat()
        }
    }
}

/// The path with what the match matched replaced: the prefix (`/` where there is no uri match), or the whole path.
pub(crate) fn replace_match(path: &[u8], matcher: Option<&HttpMatch>, replacement: &str) -> Vec<u8> {
    let (bare, query) = split(path);
    let matched = match matcher.and_then(|matcher| matcher.uri.as_ref()) {
        Some(StringMatch::Prefix(prefix)) => prefix.len(),
        Some(StringMatch::Exact(_) | StringMatch::Regex(_)) => bare.len(),
        Some(StringMatch::Present) | None => 1,
    };
    [replacement.as_bytes(), bare.get(matched..).unwrap_or_default(), query].concat()
}
