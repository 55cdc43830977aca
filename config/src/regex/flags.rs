//! `(?flags)` and `(?flags:…)`.

use super::cursor::Cursor;

/// The flags of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// `i`: ignores case.
    pub(super) fold: bool,
    /// `m`: `^` and `$` also match at line breaks.
    pub(super) multi_line: bool,
    /// `s`: `.` also matches a newline.
    pub(super) dot_newline: bool,
    /// `U`: `x*` is lazy and `x*?` is greedy.
    pub(super) ungreedy: bool,
}

/// The part of a pattern that the flags apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The rest of the enclosing group.
    Rest,
    /// A group of its own.
    Group,
}

impl Flags {
    /// Reads flags. Their `(?` is already read.
    pub(super) fn read(self, rest: &mut Cursor<'_>) -> Result<(Self, Reach), String> {
        let mut flags = self;
        let mut text = String::from("(?");
        let mut on = true;
        let mut sign_is_last = false;
        loop {
            let Some(c) = rest.next() else {
                return Err(format!("missing closing ): {text}"));
            };
            text.push(c);
            match c {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.ungreedy = on,
                '-' if on => on = false,
                ':' if !sign_is_last => return Ok((flags, Reach::Group)),
                ')' if !sign_is_last => return Ok((flags, Reach::Rest)),
                _ => return Err(format!("invalid or unsupported Perl syntax: {text}")),
            }
            sign_is_last = c == '-';
        }
    }
}
