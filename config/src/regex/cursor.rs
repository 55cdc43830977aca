//! The position of the parser in a pattern.

/// The rest of a pattern.
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

    /// Skips a text if the rest starts with it.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The text before `end`. Skips both. `None` if there is no `end`; then nothing is skipped.
    pub(super) fn take_until(&mut self, end: &str) -> Option<&'p str> {
        let (text, rest) = self.0.split_once(end)?;
        self.0 = rest;
        Some(text)
    }
}
