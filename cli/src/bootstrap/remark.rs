//! What is said about a place of the document.

/// Something about one place of the document, by its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) at: String,
    pub(crate) text: String,
}

impl Remark {
    pub(crate) fn new(at: impl Into<String>, text: impl Into<String>) -> Self {
        Self { at: at.into(), text: text.into() }
    }
}
