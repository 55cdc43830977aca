//! A position in a pattern.

/// What is left of a pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'p>(pub(super) &'p str);

impl<'p> Cursor<'p> {
    pub(super) fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let next = characters.next()?;
        self.0 = characters.as_str();
        Some(next)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    /// Skips a text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The text before `end`; skips both. `None`, and skips nothing, if `end` does not follow.
    pub(super) fn take_until(&mut self, end: &str) -> Option<&'p str> {
        let (text, rest) = self.0.split_once(end)?;
        self.0 = rest;
        Some(text)
    }
}
