//! Regular expressions with RE2's syntax and meaning, as Istio validates them and Envoy runs them.
//!
//! Unicode classes (`\\p{Greek}`) are rejected with an error that names them, because their tables would make the
//! filter 172 KB larger.
//!
//! This module reads patterns and limits their size. The engine that runs them is in `canary-routing`.
//!
//! A pattern matches bytes. A `.` or a class matches one encoded character. A byte that is not part of a character
//! matches neither. As in RE2, `.` and negated classes also accept overlong forms and encoded surrogates, because RE2
//! checks only the length of such a sequence.

mod case;
mod class;
mod cursor;
mod escape;
mod flags;
mod limits;
mod parser;
mod program_size;
mod substitution;

use std::fmt;
use std::hash::{Hash, Hasher};

use regex_syntax::hir::Hir;

pub use limits::{MAX_PATTERN, MAX_PROGRAM_SIZE, MAX_PROGRAM_TOTAL};
pub use substitution::{Part, Substitution};

/// A valid pattern. Two patterns are equal if their texts are equal.
#[derive(Clone)]
pub struct Regex {
    pattern: String,
    program_size: u32,
}

/// Why a pattern is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRegex(String);

impl fmt::Display for InvalidRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRegex {}

impl Regex {
    /// Checks a pattern.
    ///
    /// # Errors
    /// If it is empty, longer than [`MAX_PATTERN`], not in RE2's syntax, or larger than [`MAX_PROGRAM_SIZE`].
    pub fn new(pattern: &str) -> Result<Self, InvalidRegex> {
        let hir = parse(pattern)?;
        let program_size = program_size::of(&hir);
        if program_size > MAX_PROGRAM_SIZE {
            return Err(InvalidRegex(format!(
                "regex {pattern:?}: program size of {program_size} is over {MAX_PROGRAM_SIZE}, the most that Istio's proxies \
                 accept (re2.max_program_size.error_level)"
            )));
        }
        Ok(Self { pattern: pattern.to_owned(), program_size })
    }

    /// The text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// An estimate of RE2's count of instructions.
    #[must_use]
    pub fn program_size(&self) -> u32 {
        self.program_size
    }
}

/// Reads a pattern for an engine. The result is not anchored. Its size is that of the pattern and not that of the
/// program.
///
/// # Errors
/// If the pattern is empty, longer than [`MAX_PATTERN`], or not in RE2's syntax.
pub fn parse(pattern: &str) -> Result<Hir, InvalidRegex> {
    if pattern.is_empty() {
        return Err(InvalidRegex("regex string match should not be empty".to_owned()));
    }
    if pattern.len() > MAX_PATTERN {
        return Err(InvalidRegex(format!("regex is too large, max length allowed is {MAX_PATTERN}")));
    }
    parser::parse(pattern).map_err(|error| InvalidRegex(format!("regex {pattern:?}: {error}")))
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

#[cfg(test)]
mod tests;
