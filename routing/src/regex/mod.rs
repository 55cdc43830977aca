//! Runs regular expressions over values, and rewrites paths with them.
//!
//! Everything here takes time linear in the value, for any bytes. A [`RegexSet`] decides all regexes of one field in
//! one pass. A [`Rewriter`] replaces matches. Both build automata lazily, in [`RegexCaches`] with bounded memory.
//!
//! [`canary_config::regex`] defines the syntax and its meaning.

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
    /// By a comparison.
    Plain(PlainTest),
    /// By the automaton of a [`RegexSet`], and what the value must contain, if that is known.
    Automaton(Option<RequiredLiteral>),
}

impl Strategy {
    /// The cheapest strategy for a regex.
    pub(crate) fn of(regex: &Regex) -> Self {
        let Ok(hir) = parse(regex.as_str()) else { return Self::Automaton(None) };
        let pieces = pieces::of(&hir);
        PlainTest::of(&pieces).map_or_else(|| Self::Automaton(RequiredLiteral::of(&pieces)), Self::Plain)
    }
}

/// Whether a regex matches a whole value. For tools that have a single value.
#[must_use]
pub fn matches_regex(regex: &Regex, value: &[u8]) -> bool {
    RegexSet::new(&[regex], &Arc::new(RegexCaches::new())).is_match(value)
}
