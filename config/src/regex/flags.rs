//! `(?flags)` and `(?flags:…)`.

use super::cursor::Cursor;

/// What the flags of a group switch on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// `i`: letters of either case match.
    pub(super) fold: bool,
    /// `m`: `^` and `$` also match at lines.
    pub(super) multi_line: bool,
    /// `s`: `.` also matches a newline.
    pub(super) dot_newline: bool,
    /// `U`: `x*` is lazy and `x*?` is greedy.
    pub(super) ungreedy: bool,
}

/// How far the flags reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the end of the group in which they are written.
    Rest,
    /// A group of their own.
    Group,
}

impl Flags {
    /// Reads flags; their `(?` is already read.
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
