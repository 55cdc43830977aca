//! What a condition demands of a request's values, as far as it can be looked up.

use crate::matching::condition::{Condition, Polarity, Test};
use crate::matching::field::Field;
use crate::matching::field_regexes::FieldRegexes;
use crate::regex::{PlainTest, RequiredLiteral};

/// What a text has to do with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// It is the value.
    Whole,
    /// The value starts with it.
    Start,
    /// It is one of the value's elements between semicolons, as a cookie is.
    Element,
}

/// A text that some value of a field needs for an entry to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand<'m> {
    pub(super) field: Field,
    pub(super) kind: Kind,
    pub(super) text: &'m [u8],
}

impl<'m> Demand<'m> {
    /// The demand of a condition; a request that fails it does not match. `None` where nothing can be looked up.
    pub(super) fn of(condition: &'m Condition, sets: &'m [FieldRegexes]) -> Option<Self> {
        if condition.polarity != Polarity::Required {
            return None;
        }
        let (kind, text) = match &condition.test {
            Test::Exact(text) | Test::ExactIgnoringCase(text) => (Kind::Whole, &**text),
            Test::Prefix(text) | Test::PrefixIgnoringCase(text) => (Kind::Start, &**text),
            Test::Plain(PlainTest::Exact(text)) => (Kind::Whole, text.as_slice()),
            Test::Plain(PlainTest::Prefix(text)) => (Kind::Start, text.as_slice()),
            Test::Plain(PlainTest::Element(text)) => (Kind::Element, text.as_slice()),
            Test::Plain(PlainTest::Dots | PlainTest::Suffix(_)) => return None,
            Test::Regex { set, .. } => match sets.get(usize::try_from(*set).ok()?)?.required.as_ref()? {
                RequiredLiteral::Start(text) => (Kind::Start, text.as_slice()),
                RequiredLiteral::Element(text) => (Kind::Element, text.as_slice()),
            },
            Test::Present => return None,
        };
        (kind == Kind::Whole || !text.is_empty()).then_some(Self { field: condition.field, kind, text })
    }
}
