//! What is wrong with a text.

use super::located::Position;

/// Lists and objects within one another, at most.
pub(super) const MAX_DEPTH: usize = 100;

/// A text that is neither JSON nor YAML.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where it is wrong, if that is known.
    pub(crate) at: Option<Position>,
    /// What is wrong, and the way out.
    pub(crate) message: String,
}

impl SyntaxError {
    pub(super) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into() }
    }
}

/// A value within too many others.
pub(super) fn too_deep(at: Position) -> SyntaxError {
    SyntaxError::new(at, format!("lists and objects more than {MAX_DEPTH} deep"))
}

/// A key that an object has already.
pub(super) fn duplicate(name: &str, at: Position, first: u64) -> SyntaxError {
    SyntaxError::new(at, format!("key {name:?} is given twice, first in line {first}"))
}
