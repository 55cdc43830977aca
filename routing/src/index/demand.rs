//! What an entry's conditions demand of a request's values, as far as it can be looked up.

use crate::config::{HttpMatch, StringMatch};
use crate::field::Field;
use crate::regex::Necessary;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand<'m> {
    pub(super) field: Field<'m>,
    pub(super) kind: Kind,
    pub(super) text: &'m [u8],
}

impl<'m> Demand<'m> {
    /// Every demand of an entry; a request that fails one of them does not match.
    pub(super) fn all(matcher: &'m HttpMatch) -> Vec<Self> {
        let demands = matcher.conditions().filter_map(|(field, wanted)| {
            let (kind, text) = match wanted {
                StringMatch::Exact(text) => (Kind::Whole, &**text),
                StringMatch::Prefix(text) => (Kind::Start, &**text),
                StringMatch::Regex(regex) => match regex.necessary()? {
                    Necessary::Start(text) => (Kind::Start, text),
                    Necessary::Element(text) => (Kind::Element, text),
                },
                StringMatch::Present => return None,
            };
            let says_something = kind == Kind::Whole || !text.is_empty();
            says_something.then_some(Self { field, kind, text: text.as_bytes() })
        });
        demands.collect()
    }
}
