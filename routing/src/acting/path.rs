//! Splits and rewrites `:path`.

use std::ops::Range;

use crate::head::RequestHead;
use crate::regex::Rewriter;

/// The query parameters in order, as sent: each name, and the range of its value within the query. Nothing is decoded.
/// A parameter without `=` has an empty value. `query` starts with its question mark.
pub(crate) fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], Range<usize>)> {
    let text = query.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut start = usize::from(text.first() == Some(&b'?'));
    let parameters = text.get(start..).unwrap_or_default().split(|byte| *byte == b'&');
    let ranges = parameters.map(move |parameter| {
        let end = start.saturating_add(parameter.len());
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        let value = start.saturating_add(name.len()).saturating_add(1).min(end)..end;
        start = end.saturating_add(1);
        (parameter, name, value)
    });
    ranges.filter(|(parameter, ..)| !parameter.is_empty()).map(|(_, name, value)| (name, value))
}

/// The part of the path that a route has matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchedPath {
    /// A prefix with this number of bytes. It is `/` if the match has no `uri`.
    Prefix(usize),
    /// The whole path.
    Whole,
}

/// How the path changes. The query stays.
#[derive(Debug)]
pub(crate) enum PathRewrite {
    /// Replaces the matched part.
    Matched(Box<str>),
    /// Replaces every match of a pattern.
    Regex(Rewriter),
}

/// The path for the upstream.
pub(crate) fn rewrite(head: &RequestHead<'_>, matched: MatchedPath, rewrite: &PathRewrite) -> Vec<u8> {
    match rewrite {
        PathRewrite::Matched(replacement) => replace_match(head, matched, replacement),
        PathRewrite::Regex(rewriter) => [&rewriter.rewrite(head.uri()), head.query()].concat(),
    }
}

/// The path with the matched part replaced.
pub(crate) fn replace_match(head: &RequestHead<'_>, matched: MatchedPath, replacement: &str) -> Vec<u8> {
    let uri = head.uri();
    let matched = match matched {
        MatchedPath::Prefix(length) => length,
        MatchedPath::Whole => uri.len(),
    };
    [replacement.as_bytes(), uri.get(matched..).unwrap_or_default(), head.query()].concat()
}
