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
mod pieces;
mod plain_test;
mod required_literal;
mod reversed;
mod rewriter;
mod set;
mod state_set;

pub use caches::{MAX_CACHE_BYTES, RegexCaches};
pub use required_literal::{RequiredLiteral, required_literal};
pub use rewriter::Rewriter;
pub use set::RegexSet;

#[cfg(test)]
mod tests;
