//! The conditions of a `match` entry.

use super::field::Field;
use crate::regex::PlainTest;

/// One condition. All conditions of an entry must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) test: Test,
    pub(crate) polarity: Polarity,
}

/// Whether some value must satisfy the test, or none may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Polarity {
    /// Some value of the field must satisfy the test.
    #[default]
    Required,
    /// No value may satisfy the test. An absent header counts as an empty value, because istiod sets
    /// `treat_missing_header_as_empty`.
    Excluded {
        /// Whether an empty value satisfies the test.
        absent_matches: bool,
    },
}

/// How one value is tested, with the cheapest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Test {
    /// The value exists.
    #[default]
    Present,
    /// Equal, byte for byte.
    Exact(Box<[u8]>),
    /// The value starts with the text.
    Prefix(Box<[u8]>),
    /// Equal if the case of ASCII letters is ignored.
    ExactIgnoringCase(Box<[u8]>),
    /// The value starts with the text if the case of ASCII letters is ignored.
    PrefixIgnoringCase(Box<[u8]>),
    /// A regex that needs no automaton.
    Plain(PlainTest),
    /// A regex, by its set and its number in the set.
    Regex {
        /// The set.
        set: u32,
        /// The regex.
        member: u32,
    },
}

impl Condition {
    /// The text of a test that compares. Empty for other tests.
    pub(crate) fn text(&self) -> &[u8] {
        match &self.test {
            Test::Exact(text) | Test::Prefix(text) | Test::ExactIgnoringCase(text) | Test::PrefixIgnoringCase(text) => {
                text
            }
            Test::Present | Test::Plain(_) | Test::Regex { .. } => b"",
        }
    }
}

impl Test {
    /// Whether a value satisfies the test. Always false for a regex of a set, which the set decides.
    pub(crate) fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == &**text,
            Self::Prefix(text) => value.starts_with(text),
            Self::ExactIgnoringCase(text) => value.eq_ignore_ascii_case(text),
            Self::PrefixIgnoringCase(text) => {
                value.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
            }
            Self::Plain(plain) => plain.holds(value),
            Self::Regex { .. } => false,
        }
    }

    /// A rank of the test's cost, for sorting.
    pub(crate) const fn cost(&self) -> u8 {
        match self {
            Self::Present => 0,
            Self::Exact(_) => 1,
            Self::Prefix(_) => 2,
            Self::ExactIgnoringCase(_) | Self::PrefixIgnoringCase(_) => 3,
            Self::Plain(_) => 4,
            Self::Regex { .. } => 5,
        }
    }
}
