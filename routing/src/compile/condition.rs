//! Compiles the conditions of a `match` entry.

use canary_config::{HttpMatch, StringMatch};

use super::Compiler;
use crate::acting::MatchedPath;
use crate::matching::{Condition, Field, Polarity, RulesBuilder, Test};
use crate::regex::matches_regex;

impl Compiler<'_> {
    /// The field that a header matcher names. It may be a pseudo-header.
    pub(super) fn header_field(&mut self, name: &str) -> Field {
        Field::pseudo(name).unwrap_or_else(|| Field::Header(self.headers.header(name).slot()))
    }

    /// All conditions on the content of a request. The selectors `port`, `gateways`, `sourceLabels` and
    /// `sourceNamespace` are compiled elsewhere.
    pub(super) fn conditions<'m>(&mut self, entry: &'m HttpMatch, rules: &mut RulesBuilder<'m>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut require = |field, test| {
            // Every request has a path.
            if (field, &test) != (Field::Uri, &Test::Present) {
                conditions.push(Condition { field, test, polarity: Polarity::Required });
            }
        };
        if let Some(uri) = &entry.uri {
            require(Field::Uri, path_test(uri, entry.ignore_uri_case, rules));
        }
        for (field, wanted) in
            [(Field::Method, &entry.method), (Field::Authority, &entry.authority), (Field::Scheme, &entry.scheme)]
        {
            if let Some(wanted) = wanted {
                require(field, test(field, wanted, rules));
            }
        }
        for (name, wanted) in &entry.headers {
            let field = self.header_field(name);
            require(field, test(field, wanted, rules));
        }
        for (name, wanted) in &entry.query_params {
            let field = Field::Parameter(self.parameters.number(name));
            require(field, test(field, wanted, rules));
        }
        for (keys, wanted) in &entry.claims {
            let field = Field::Claim(self.claim(keys));
            require(field, test(field, wanted, rules));
        }
        for (name, unwanted) in &entry.without_headers {
            let field = self.header_field(name);
            // A matcher may ask for presence alone, and then has no value.
            let absent_matches = *unwanted != StringMatch::Present && matches_empty(unwanted);
            let polarity = Polarity::Excluded { absent_matches };
            conditions.push(Condition { field, test: test(field, unwanted, rules), polarity });
        }
        for (keys, unwanted) in &entry.without_claims {
            let field = Field::Claim(self.claim(keys));
            let polarity = Polarity::Excluded { absent_matches: false };
            conditions.push(Condition { field, test: test(field, unwanted, rules), polarity });
        }
        conditions
    }
}

/// The part of the path that an entry matches, for rewrites.
pub(super) fn matched_path(entry: Option<&HttpMatch>) -> MatchedPath {
    match entry.and_then(|entry| entry.uri.as_ref()) {
        Some(StringMatch::Prefix(prefix)) => MatchedPath::Prefix(prefix.len()),
        Some(StringMatch::Exact(_) | StringMatch::Regex(_)) => MatchedPath::Whole,
        Some(StringMatch::Present) | None => MatchedPath::Prefix(1),
    }
}

fn test<'c>(field: Field, wanted: &'c StringMatch, rules: &mut RulesBuilder<'c>) -> Test {
    match wanted {
        StringMatch::Exact(text) => Test::Exact(text.as_bytes().into()),
        StringMatch::Prefix(text) => Test::Prefix(text.as_bytes().into()),
        StringMatch::Regex(regex) => rules.regex(field, regex),
        StringMatch::Present => Test::Present,
    }
}

/// The test of a path. Regexes are case-sensitive, even with `ignoreUriCase`.
fn path_test<'c>(uri: &'c StringMatch, ignores_case: bool, rules: &mut RulesBuilder<'c>) -> Test {
    match uri {
        StringMatch::Prefix(text) if text.is_empty() => Test::Present,
        StringMatch::Exact(text) if ignores_case => Test::ExactIgnoringCase(text.as_bytes().into()),
        StringMatch::Prefix(text) if ignores_case => Test::PrefixIgnoringCase(text.as_bytes().into()),
        _ => test(Field::Uri, uri, rules),
    }
}

fn matches_empty(unwanted: &StringMatch) -> bool {
    match unwanted {
        StringMatch::Exact(text) | StringMatch::Prefix(text) => text.is_empty(),
        StringMatch::Regex(regex) => matches_regex(regex, b""),
        StringMatch::Present => true,
    }
}
