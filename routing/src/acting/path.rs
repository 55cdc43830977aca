//! The parts of `:path`, and its rewriting.

use std::ops::Range;

use crate::head::RequestHead;
use crate::regex::Rewriter;

/// The query parameters as sent (nothing is decoded), in order: each name, and where in the query its value is; one without `=`
/// has the empty value. `query` begins with its question mark.
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

/// What of the path the match of a route has matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchedPath {
    /// A prefix of so many bytes; `/` where there is no uri match.
    Prefix(usize),
    /// The whole path.
    Whole,
}

/// How the path changes; the query stays.
#[derive(Debug)]
pub(crate) enum PathRewrite {
    /// Replaces what was matched.
    Matched(Box<str>),
    /// Replaces every match of a pattern.
    Regex(Rewriter),
}

/// The path that the upstream sees.
pub(crate) fn rewrite(head: &RequestHead<'_>, matched: MatchedPath, rewrite: &PathRewrite) -> Vec<u8> {
    match rewrite {
        PathRewrite::Matched(replacement) => replace_match(head, matched, replacement),
        PathRewrite::Regex(rewriter) => [&rewriter.rewrite(head.uri()), head.query()].concat(),
    }
}

/// The path with what was matched replaced.
pub(crate) fn replace_match(head: &RequestHead<'_>, matched: MatchedPath, replacement: &str) -> Vec<u8> {
    let uri = head.uri();
    let matched = match matched {
        MatchedPath::Prefix(length) => length,
        MatchedPath::Whole => uri.len(),
    };
    [replacement.as_bytes(), uri.get(matched..).unwrap_or_default(), head.query()].concat()
}
