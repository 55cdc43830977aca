//! What a condition demands of a value, as far as an index can look it up.

use crate::matching::condition::{Condition, Polarity, Test};
use crate::matching::field::Field;
use crate::matching::field_regexes::FieldRegexes;
use crate::regex::{PlainTest, RequiredLiteral};

/// How a text relates to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum DemandKind {
    /// The text is the value.
    Whole,
    /// The value starts with the text.
    Start,
    /// The text is one of the value's elements between semicolons, as in a cookie.
    Element,
}

/// A text that some value of a field needs so that the entry can match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand<'m> {
    pub(super) field: Field,
    pub(super) kind: DemandKind,
    pub(super) text: &'m [u8],
}

impl<'m> Demand<'m> {
    /// The demand of a condition. A request that does not meet it does not match. `None` if there is nothing to look
    /// up.
    pub(super) fn of(condition: &'m Condition, sets: &'m [FieldRegexes]) -> Option<Self> {
        if condition.polarity != Polarity::Required {
            return None;
        }
        let (kind, text) = match &condition.test {
            Test::Exact(text) | Test::ExactIgnoringCase(text) => (DemandKind::Whole, &**text),
            Test::Prefix(text) | Test::PrefixIgnoringCase(text) => (DemandKind::Start, &**text),
            Test::Plain(PlainTest::Exact(text)) => (DemandKind::Whole, text.as_slice()),
            Test::Plain(PlainTest::Prefix(text)) => (DemandKind::Start, text.as_slice()),
            Test::Plain(PlainTest::Element(text)) => (DemandKind::Element, text.as_slice()),
            Test::Plain(PlainTest::Dots | PlainTest::Suffix(_)) => return None,
            Test::Regex { set, .. } => match sets.get(usize::try_from(*set).ok()?)?.required.as_ref()? {
                RequiredLiteral::Start(text) => (DemandKind::Start, text.as_slice()),
                RequiredLiteral::Element(text) => (DemandKind::Element, text.as_slice()),
            },
            Test::Present => return None,
        };
        (kind == DemandKind::Whole || !text.is_empty()).then_some(Self { field: condition.field, kind, text })
    }
}
