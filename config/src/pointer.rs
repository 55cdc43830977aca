//! The places of rules: thousands share their beginning.

use std::fmt;
use std::sync::Arc;

/// A JSON pointer to an element of a list, shown as its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer {
    list: Arc<str>,
    index: u32,
}

impl Pointer {
    /// The element with this index of the list that the JSON pointer `list` names.
    pub(super) fn new(list: &Arc<str>, index: usize) -> Self {
        Self { list: Arc::clone(list), index: u32::try_from(index).unwrap_or(u32::MAX) }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.list, self.index)
    }
}

impl From<&Pointer> for String {
    fn from(pointer: &Pointer) -> Self {
        pointer.to_string()
    }
}
