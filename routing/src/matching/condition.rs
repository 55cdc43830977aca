//! What an entry of a rule's `match` asks of a request.

use super::field::Field;
use crate::regex::PlainTest;

/// One condition; all of an entry have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) test: Test,
    pub(crate) polarity: Polarity,
}

/// Whether a value has to satisfy the test, or none may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Polarity {
    /// Some value of the field has to.
    #[default]
    Required,
    /// No value may. An absent header counts as an empty one (istiod sets `treat_missing_header_as_empty`): whether that
    /// satisfies the test.
    Excluded {
        /// The test holds for what is not there.
        absent_matches: bool,
    },
}

/// How one value is tested, the cheapest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Test {
    /// The value is there.
    #[default]
    Present,
    /// Equal, byte for byte.
    Exact(Box<[u8]>),
    /// Begins with it.
    Prefix(Box<[u8]>),
    /// Equal but for the case of ASCII letters.
    ExactIgnoringCase(Box<[u8]>),
    /// Begins with it but for the case of ASCII letters.
    PrefixIgnoringCase(Box<[u8]>),
    /// A regex that needs no engine.
    Plain(PlainTest),
    /// A regex, by its set in the rules and its number in the set.
    Regex {
        /// The set.
        set: u32,
        /// The regex.
        member: u32,
    },
}

impl Condition {
    /// The text of a test that compares; empty for others.
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
    /// Whether a value satisfies the test. Regexes of a set are for the set to decide: false here.
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

    /// What the test costs, for an order.
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
