//! Patterns that need no automaton.
//!
//! `.*text.*` is not one of them, because a single automaton finds all such texts of a field at once.

use super::pieces::Piece;

/// A test of a whole value that gives the same result as the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlainTest {
    /// `text`
    Exact(Vec<u8>),
    /// `.*`
    Dots,
    /// `text.*`
    Prefix(Vec<u8>),
    /// `.*text`
    Suffix(Vec<u8>),
    /// `^(.*?;)?(text)(;.*)?$`, Istio's pattern for a cookie: an element between semicolons.
    Element(Vec<u8>),
}

impl PlainTest {
    /// The test that is equivalent to a pattern. `None` if there is none.
    pub(super) fn of(pieces: &[Piece<'_>]) -> Option<Self> {
        let test = match pieces {
            [Piece::Literal(text)] => return Some(Self::Exact(text.clone())),
            [Piece::Dots] => return Some(Self::Dots),
            [Piece::Literal(text), Piece::Dots] => Self::Prefix(text.clone()),
            [Piece::Dots, Piece::Literal(text)] => Self::Suffix(text.clone()),
            [Piece::DotsBeforeSemicolon, Piece::Literal(text), Piece::DotsAfterSemicolon] if !text.contains(&b';') => {
                Self::Element(text.clone())
            }
            _ => return None,
        };
        // The other tests apply to values that match `.*` as a whole, so their text must match it, too.
        test.text().is_some_and(super::dots::is_match).then_some(test)
    }

    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Dots => None,
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Element(text) => Some(text),
        }
    }

    /// Whether the value matches. `is_dots` tells whether the value matches `.*`, and is called last.
    pub(super) fn is_match(&self, value: &[u8], mut is_dots: impl FnMut() -> bool) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Dots => is_dots(),
            Self::Prefix(text) => value.starts_with(text) && is_dots(),
            Self::Suffix(text) => value.ends_with(text) && is_dots(),
            Self::Element(text) => value.split(|byte| *byte == b';').any(|element| element == text) && is_dots(),
        }
    }

    /// Whether the value matches, if there is only this test.
    pub(crate) fn holds(&self, value: &[u8]) -> bool {
        self.is_match(value, || super::dots::is_match(value))
    }

    pub(super) fn memory_usage(&self) -> usize {
        self.text().map_or(0, <[u8]>::len)
    }
}
