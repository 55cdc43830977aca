//! Runs regular expressions over values and rewrites paths with them.
//!
//! Everything here takes time linear in the value, whatever its bytes are. A [`RegexSet`] decides all regexes of one field in
//! one pass; a [`Rewriter`] replaces matches. Both keep lazily built automata in [`RegexCaches`], which bounds their memory.
//!
//! `canary-config` defines syntax and meaning; see [`canary_config::regex`].

mod caches;
mod captures;
mod dots;
mod group;
mod live_sets;
mod memo;
mod pieces;
mod plain_test;
mod required_literal;
mod reversed;
mod rewriter;
mod set;
mod state_set;

use std::sync::Arc;

use canary_config::regex::{Regex, parse};

pub(crate) use caches::RegexCaches;
pub(crate) use plain_test::PlainTest;
pub(crate) use required_literal::RequiredLiteral;
pub(crate) use rewriter::Rewriter;
pub(crate) use set::RegexSet;

#[cfg(test)]
mod tests;

/// How the regex of a condition is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// By a test of its own.
    Plain(PlainTest),
    /// By the automaton of a [`RegexSet`]. What a value needs for it to match, where that is known.
    Automaton(Option<RequiredLiteral>),
}

impl Strategy {
    /// The cheapest way to decide a regex.
    pub(crate) fn of(regex: &Regex) -> Self {
        let Ok(hir) = parse(regex.as_str()) else { return Self::Automaton(None) };
        let pieces = pieces::of(&hir);
        PlainTest::of(&pieces).map_or_else(|| Self::Automaton(RequiredLiteral::of(&pieces)), Self::Plain)
    }
}

/// Whether a regex matches a whole value; for tools, which have one value.
#[must_use]
pub fn matches_regex(regex: &Regex, value: &[u8]) -> bool {
    RegexSet::new(&[regex], &Arc::new(RegexCaches::new())).is_match(value)
}
