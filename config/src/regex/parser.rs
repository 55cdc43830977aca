//! Parses a pattern with RE2's grammar (<https://github.com/google/re2/wiki/Syntax>).
//!
//! A pattern is accepted if both RE2 and Go's `regexp` accept it, because Istio validates with Go. Errors have Go's
//! texts.

use std::collections::HashSet;

use regex_syntax::hir::{Capture, Hir, Look, Repetition};

use super::cursor::Cursor;
use super::flags::{Flags, Reach};
use super::limits::MAX_REPEAT;
use super::{class, escape};

/// The pattern, not anchored.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser = Parser {
        rest: Cursor(pattern),
        group: Group::default(),
        outer: Vec::new(),
        flags: Flags::default(),
        names: HashSet::new(),
        captures: 0,
        token: pattern,
        last_repetition: "",
    };
    while let Some(c) = parser.rest.next() {
        let is_repetition = parser.token(c)?;
        parser.last_repetition = if is_repetition { parser.token_text() } else { "" };
        parser.token = parser.rest.0;
    }
    if !parser.outer.is_empty() {
        return Err("missing closing )".to_owned());
    }
    Ok(parser.group.finish().hir)
}

/// A part of a pattern.
struct Piece {
    hir: Hir,
    /// The largest product of nested repeat counts in the part.
    repeats: u32,
}

/// A group without its closing parenthesis yet. The outermost group is the pattern itself.
#[derive(Default)]
struct Group {
    /// The group's number; `None` if it does not capture.
    capture: Option<u32>,
    /// The flags that apply again after the group.
    flags_outside: Flags,
    alternatives: Vec<Hir>,
    /// The parts of the present alternative.
    sequence: Vec<Piece>,
    /// [`Piece::repeats`] of the finished alternatives.
    repeats: u32,
}

impl Group {
    fn end_alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.repeats = sequence.iter().map(|piece| piece.repeats).fold(self.repeats, u32::max);
        self.alternatives.push(Hir::concat(sequence.into_iter().map(|piece| piece.hir).collect()));
    }

    fn finish(mut self) -> Piece {
        self.end_alternative();
        let body = Hir::alternation(self.alternatives);
        let hir = match self.capture {
            Some(index) => Hir::capture(Capture { index, name: None, sub: Box::new(body) }),
            None => body,
        };
        Piece { hir, repeats: self.repeats.max(1) }
    }
}

/// The number of repetitions.
#[derive(Clone, Copy)]
struct Times {
    min: u32,
    max: Option<u32>,
    /// Whether it is written with braces, which RE2 limits.
    counted: bool,
}

struct Parser<'p> {
    rest: Cursor<'p>,
    group: Group,
    outer: Vec<Group>,
    flags: Flags,
    names: HashSet<&'p str>,
    captures: u32,
    /// The pattern from the present token on.
    token: &'p str,
    /// The last token if it was a repetition operator. Otherwise empty.
    last_repetition: &'p str,
}

impl<'p> Parser<'p> {
    /// Reads a token. Returns whether it is a repetition operator.
    fn token(&mut self, c: char) -> Result<bool, String> {
        match c {
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '|' => self.group.end_alternative(),
            '*' => return self.repeat(Times { min: 0, max: None, counted: false }),
            '+' => return self.repeat(Times { min: 1, max: None, counted: false }),
            '?' => return self.repeat(Times { min: 0, max: Some(1), counted: false }),
            '{' => match self.counted_repetition()? {
                Some(times) => return self.repeat(times),
                None => self.literal('{'),
            },
            '.' => self.push(class::to_hir(class::dot(self.flags))),
            '^' => self.push(Hir::look(if self.flags.multi_line { Look::StartLF } else { Look::Start })),
            '$' => self.push(Hir::look(if self.flags.multi_line { Look::EndLF } else { Look::End })),
            '[' => {
                let class = class::bracketed(&mut self.rest, self.flags)?;
                self.push(class::to_hir(class));
            }
            '\\' => self.escape()?,
            c => self.literal(c),
        }
        Ok(false)
    }

    fn token_text(&self) -> &'p str {
        self.token.strip_suffix(self.rest.0).unwrap_or_default()
    }

    fn push(&mut self, hir: Hir) {
        self.group.sequence.push(Piece { hir, repeats: 1 });
    }

    fn literal(&mut self, c: char) {
        self.push(class::to_hir(class::literal(c, self.flags)));
    }

    fn open_group(&mut self) -> Result<(), String> {
        let named = self.rest.eat("?P<") || self.rest.eat("?<");
        if named {
            self.name()?;
        } else if self.rest.eat("?") {
            let (flags, reach) = self.flags.read(&mut self.rest)?;
            if reach == Reach::Group {
                self.enter_group(None);
            }
            self.flags = flags;
            return Ok(());
        }
        self.captures = self.captures.saturating_add(1);
        self.enter_group(Some(self.captures));
        Ok(())
    }

    /// The name of a group. Go accepts a name twice, RE2 does not.
    fn name(&mut self) -> Result<(), String> {
        let name = self.rest.take_until(">").ok_or_else(|| format!("invalid named capture: (?P<{}", self.rest.0))?;
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid || !self.names.insert(name) {
            return Err(format!("invalid named capture: (?P<{name}>"));
        }
        Ok(())
    }

    fn enter_group(&mut self, capture: Option<u32>) {
        let group = Group { capture, flags_outside: self.flags, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, group));
    }

    fn close_group(&mut self) -> Result<(), String> {
        let outer = self.outer.pop().ok_or("unexpected )")?;
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.flags_outside;
        self.group.sequence.push(group.finish());
        Ok(())
    }

    fn repeat(&mut self, times: Times) -> Result<bool, String> {
        let lazy = self.rest.eat("?");
        let operator = self.token_text();
        if !self.last_repetition.is_empty() {
            return Err(format!("invalid nested repetition operator: {}{operator}", self.last_repetition));
        }
        let Some(Piece { hir, repeats }) = self.group.sequence.pop() else {
            return Err(format!("missing argument to repetition operator: {operator}"));
        };
        let factor = if times.counted { times.max.unwrap_or(times.min) } else { 1 };
        // As in Go and RE2, a part that is repeated zero times does not count.
        let repeats = if times.max == Some(0) { 1 } else { repeats.saturating_mul(factor.max(1)) };
        if repeats > MAX_REPEAT && factor > 1 {
            return Err(format!("invalid repeat count: {operator}"));
        }
        let greedy = lazy == self.flags.ungreedy;
        let hir = Hir::repetition(Repetition { min: times.min, max: times.max, greedy, sub: Box::new(hir) });
        self.group.sequence.push(Piece { hir, repeats });
        Ok(true)
    }

    /// The repetition after a `{`. `None` if the brace is an ordinary character, as in RE2.
    fn counted_repetition(&mut self) -> Result<Option<Times>, String> {
        let Some((count, rest)) = self.rest.0.split_once('}') else { return Ok(None) };
        let (min, max) = match count.split_once(',') {
            Some((min, max)) => (min, Some(max)),
            None => (count, None),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(min) || !max.is_none_or(|max| max.is_empty() || is_number(max)) {
            return Ok(None);
        }
        self.rest = Cursor(rest);
        let limited = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MAX_REPEAT);
        let times = limited(min).and_then(|min| match max {
            None => Some((min, Some(min))),
            Some("") => Some((min, None)),
            Some(max) => limited(max).filter(|max| min <= *max).map(|max| (min, Some(max))),
        });
        let (min, max) = times.ok_or_else(|| format!("invalid repeat count: {{{count}}}"))?;
        Ok(Some(Times { min, max, counted: true }))
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some('A') => self.look(Look::Start),
            Some('z') => self.look(Look::End),
            Some('b') => self.look(Look::WordAscii),
            Some('B') => self.look(Look::WordAsciiNegate),
            Some('Q') => self.quoted(),
            _ => match class::escaped(&mut self.rest, self.flags)? {
                Some(class) => self.push(class::to_hir(class)),
                None => {
                    let c = escape::character(&mut self.rest)?;
                    self.literal(c);
                }
            },
        }
        Ok(())
    }

    fn look(&mut self, look: Look) {
        self.rest.next();
        self.push(Hir::look(look));
    }

    /// `\Q…\E`, or to the end of the pattern.
    fn quoted(&mut self) {
        self.rest.next();
        let text = self.rest.take_until("\\E").unwrap_or_else(|| std::mem::take(&mut self.rest.0));
        text.chars().for_each(|c| self.literal(c));
    }
}
