//! Reads a pattern with RE2's grammar (<https://github.com/google/re2/wiki/Syntax>), and writes it for `regex-lite` and as an
//! automaton.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::automaton::Automaton;
use super::builder::{Builder, Times};

/// RE2's limit for counted repetition.
const MAX_REPEAT: u32 = 1000;

/// An inclusive range of code points.
pub(super) type Range = (u32, u32);

const DIGIT: &[Range] = &[(0x30, 0x39)];
const SPACE: &[Range] = &[(0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)];
const WORD: &[Range] = &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];

const KELVIN_SIGN: u32 = 0x212A;
const LONG_S: u32 = 0x017F;

/// The pattern for the engine, and its automaton if it has one.
pub(super) fn translate(pattern: &str) -> Result<(String, Option<Box<Automaton>>), String> {
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        out: String::new(),
        automaton: Builder::new(),
        fold: vec![false],
        operand: Operand::Missing,
    };
    while let Some(c) = reader.rest.next() {
        reader.token(c)?;
    }
    if reader.fold.len() > 1 {
        return Err("missing closing )".to_owned());
    }
    Ok((reader.out, reader.automaton.finish()))
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy, PartialEq)]
enum Operand {
    Missing,
    Ready,
    Repeated,
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    automaton: Builder,
    /// Whether case is ignored, for each open group.
    fold: Vec<bool>,
    operand: Operand,
}

impl Reader<'_> {
    fn token(&mut self, c: char) -> Result<(), String> {
        match c {
            '(' => self.open_group(),
            ')' => self.close_group(),
            '|' => {
                self.out.push('|');
                self.automaton.next_alternative();
                self.operand = Operand::Missing;
                Ok(())
            }
            '*' => self.repeat("*", (0, None)),
            '+' => self.repeat("+", (1, None)),
            '?' => self.repeat("?", (0, Some(1))),
            '{' => match self.counted_repetition()? {
                Some((operator, times)) => self.repeat(&operator, times),
                None => self.literal('{'),
            },
            '.' | '^' | '$' => {
                self.out.push(c);
                match c {
                    '.' => self.automaton.character(&[], true),
                    _ => self.automaton.assertion(c == '^'),
                }
                self.operand = Operand::Ready;
                Ok(())
            }
            '[' => {
                let class = self.class()?;
                self.emit_class(&class)
            }
            '\\' => self.escape(),
            c => self.literal(c),
        }
    }

    fn folds(&self) -> bool {
        self.fold.last().copied().unwrap_or(false)
    }

    fn set_fold(&mut self, fold: bool) {
        if let Some(current) = self.fold.last_mut() {
            *current = fold;
        }
    }

    fn literal(&mut self, c: char) -> Result<(), String> {
        let code = u32::from(c);
        if self.folds() && (!c.is_ascii() || c.is_ascii_alphabetic()) {
            return self.emit_class(&Class { negated: false, ranges: vec![(code, code)], foreign: !c.is_ascii() });
        }
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            let _ = write!(self.out, "\\x{{{code:X}}}");
        }
        self.automaton.character(&[(code, code)], false);
        self.operand = Operand::Ready;
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), String> {
        let fold = self.folds();
        self.operand = Operand::Missing;
        if self.rest.next_if_eq(&'?').is_none() {
            self.out.push('(');
            self.enter_group(fold);
            return Ok(());
        }
        if self.rest.next_if_eq(&'P').is_some() && self.rest.peek() != Some(&'<') {
            return Err("invalid named capture".to_owned());
        }
        if self.rest.next_if_eq(&'<').is_some() {
            let name = self.take_while(|c| c != '>');
            let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid || self.rest.next().is_none() {
                return Err(format!("invalid named capture: (?P<{name}"));
            }
            let _ = write!(self.out, "(?P<{name}>");
            self.enter_group(fold);
            return Ok(());
        }
        self.flags()
    }

    /// `(?flags)` changes the rest of the group, `(?flags:` opens one. Case is folded here, so the engine never sees `i`:
    /// its own folding knows ASCII only.
    fn flags(&mut self) -> Result<(), String> {
        let mut fold = self.folds();
        let mut text = String::from("(?");
        let mut kept = String::new();
        loop {
            let c = self.rest.next().ok_or("missing closing )")?;
            let after_sign = text.ends_with('-');
            text.push(c);
            match c {
                'i' => fold = !text.contains('-'),
                'm' | 's' | 'U' => kept.push(c),
                '-' if !kept.contains('-') => kept.push(c),
                ':' if !after_sign => {
                    self.enter_group(fold);
                    let _ = write!(self.out, "(?{}:", kept.trim_end_matches('-'));
                    return Ok(());
                }
                ')' if !after_sign && text != "(?)" => {
                    self.set_fold(fold);
                    let kept = kept.trim_end_matches('-');
                    if !kept.is_empty() {
                        let _ = write!(self.out, "(?{kept})");
                    }
                    return Ok(());
                }
                _ => return Err(format!("invalid or unsupported Perl syntax: {text}")),
            }
        }
    }

    fn enter_group(&mut self, fold: bool) {
        self.fold.push(fold);
        self.automaton.open_group();
    }

    fn close_group(&mut self) -> Result<(), String> {
        if self.fold.len() < 2 {
            return Err("unexpected )".to_owned());
        }
        self.fold.pop();
        self.out.push(')');
        self.automaton.close_group();
        self.operand = Operand::Ready;
        Ok(())
    }

    fn repeat(&mut self, operator: &str, times: Times) -> Result<(), String> {
        match self.operand {
            Operand::Missing => return Err(format!("missing argument to repetition operator: {operator}")),
            Operand::Repeated => return Err(format!("invalid nested repetition operator: {operator}")),
            Operand::Ready => self.operand = Operand::Repeated,
        }
        self.out.push_str(operator);
        self.automaton.repeat(times);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        Ok(())
    }

    /// What follows a `{`, if it is a repetition; otherwise the brace is an ordinary character, as in RE2.
    fn counted_repetition(&mut self) -> Result<Option<(String, Times)>, String> {
        let ahead: String = self.rest.clone().take_while(|c| *c != '}').collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let (min, max) = match ahead.split_once(',') {
            Some((min, max)) => (min, Some(max)),
            None => (ahead.as_str(), None),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !closed || !is_number(min) || !max.is_none_or(|max| max.is_empty() || is_number(max)) {
            return Ok(None);
        }
        let count = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MAX_REPEAT);
        let times = count(min).and_then(|min| match max {
            None => Some((min, Some(min))),
            Some("") => Some((min, None)),
            Some(max) => count(max).filter(|max| min <= *max).map(|max| (min, Some(max))),
        });
        let times = times.ok_or_else(|| format!("invalid repeat count: {{{ahead}}}"))?;
        let _ = self.take_while(|c| c != '}');
        self.rest.next();
        Ok(Some((format!("{{{ahead}}}"), times)))
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = *self.rest.peek().ok_or("trailing backslash at end of expression")?;
        match c {
            'A' | 'z' | 'b' | 'B' => {
                self.rest.next();
                // In a group of its own: the engine reads `\b{start}` as one operator, RE2 does not.
                let _ = write!(self.out, "(?:\\{c})");
                match c {
                    'A' | 'z' => self.automaton.assertion(c == 'A'),
                    _ => self.automaton.give_up(),
                }
                self.operand = Operand::Ready;
                Ok(())
            }
            'Q' => {
                self.rest.next();
                self.quoted()
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.rest.next();
                let (set, negated) = perl_class(c);
                self.emit_class(&Class { negated, ranges: set.to_vec(), foreign: false })
            }
            _ => {
                let literal = self.escaped_character()?;
                self.literal(literal)
            }
        }
    }

    /// `\Q…\E`, or to the end of the pattern.
    fn quoted(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return Ok(());
            }
            self.literal(c)?;
        }
        Ok(())
    }

    /// The character that an escape stands for, in or outside a class; the backslash is already read.
    fn escaped_character(&mut self) -> Result<char, String> {
        let c = self.rest.next().ok_or("trailing backslash at end of expression")?;
        let unknown = || format!("invalid escape sequence: \\{c}");
        match c {
            'a' => Ok('\x07'),
            'f' => Ok('\x0C'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0B'),
            'x' => self.hexadecimal(),
            '0'..='7' => self.octal(c).ok_or_else(unknown),
            'p' | 'P' => Err(format!("Unicode classes (\\{c}) are not supported")),
            'C' => Err("\\C (any byte) is not supported".to_owned()),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' => Ok(c),
            _ => Err(unknown()),
        }
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits = if self.rest.next_if_eq(&'{').is_some() {
            let digits = self.take_while(|c| c != '}');
            self.rest.next().ok_or("invalid escape sequence: \\x{")?;
            digits
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let valid = digits.len() >= 2 || (!digits.is_empty() && digits.len() < 9);
        let code =
            u32::from_str_radix(&digits, 16).ok().filter(|_| valid && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        code.and_then(char::from_u32).ok_or_else(|| format!("invalid escape sequence: \\x{digits}"))
    }

    /// `\0` with up to two more digits, or `\1`–`\7` with at least one more (a single one would be a back-reference).
    fn octal(&mut self, first: char) -> Option<char> {
        let mut code = first.to_digit(8)?;
        let mut digits = 1_u32;
        while digits < 3 {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
            self.rest.next();
            code = code.saturating_mul(8).saturating_add(digit);
            digits = digits.saturating_add(1);
        }
        if first != '0' && digits == 1 { None } else { char::from_u32(code) }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.rest.next_if(|c| keep(*c)) {
            taken.push(c);
        }
        taken
    }

    /// A bracket expression; its `[` is already read.
    fn class(&mut self) -> Result<Class, String> {
        let mut class = Class { negated: self.rest.next_if_eq(&'^').is_some(), ranges: Vec::new(), foreign: false };
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or("missing closing ]")?;
            match c {
                ']' if !first => return Ok(class),
                '[' if self.rest.peek() == Some(&':') => self.posix_class(&mut class)?,
                '\\' if self.rest.peek().is_some_and(|c| "dDsSwW".contains(*c)) => {
                    let (set, negated) = perl_class(self.rest.next().unwrap_or_default());
                    class.add(set, negated);
                }
                c => self.range(c, &mut class)?,
            }
            first = false;
        }
    }

    /// One character, or a range that starts with it.
    fn range(&mut self, c: char, class: &mut Class) -> Result<(), String> {
        let low = if c == '\\' { self.escaped_character()? } else { c };
        let mut ahead = self.rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        let high = if is_range {
            self.rest.next();
            match self.rest.next().ok_or("missing closing ]")? {
                '\\' => self.escaped_character()?,
                c => c,
            }
        } else {
            low
        };
        if low > high {
            return Err(format!("invalid character class range: {low}-{high}"));
        }
        class.foreign |= !high.is_ascii();
        class.ranges.push((low.into(), high.into()));
        Ok(())
    }

    /// `[:name:]` or `[:^name:]` inside a class; its `[` is already read.
    fn posix_class(&mut self, class: &mut Class) -> Result<(), String> {
        let mut name = self.take_while(|c| c != ']');
        self.rest.next();
        let inner = name.strip_prefix(':').and_then(|name| name.strip_suffix(':')).unwrap_or_default();
        let (plain, negated) = inner.strip_prefix('^').map_or((inner, false), |plain| (plain, true));
        let Some(set) = posix_set(plain) else {
            name.insert(0, '[');
            return Err(format!("invalid character class range: {name}]"));
        };
        class.add(set, negated);
        Ok(())
    }

    fn emit_class(&mut self, class: &Class) -> Result<(), String> {
        if self.folds() && class.foreign {
            return Err("characters outside ASCII are not supported where case is ignored, (?i)".to_owned());
        }
        self.out.push_str(if class.negated { "[^" } else { "[" });
        let mut ranges = class.ranges.clone();
        if self.folds() {
            class.fold_into(&mut ranges);
        }
        self.automaton.character(&ranges, class.negated);
        for (low, high) in ranges {
            let _ = write!(self.out, "\\x{{{low:X}}}-\\x{{{high:X}}}");
        }
        self.out.push(']');
        self.operand = Operand::Ready;
        Ok(())
    }
}

/// A set of characters.
struct Class {
    negated: bool,
    ranges: Vec<Range>,
    /// Whether the pattern itself names a character outside ASCII.
    foreign: bool,
}

impl Class {
    fn add(&mut self, set: &[Range], negated: bool) {
        if negated {
            self.ranges.extend(complement(set));
        } else {
            self.ranges.extend(set);
        }
    }

    /// The other cases of the letters in the class, as Unicode's simple folding has them.
    fn fold_into(&self, ranges: &mut Vec<Range>) {
        for lower in 'a'..='z' {
            let upper = lower.to_ascii_uppercase();
            if ![lower, upper].into_iter().any(|letter| contains(&self.ranges, letter.into())) {
                continue;
            }
            ranges.extend([lower, upper].map(|letter| (u32::from(letter), u32::from(letter))));
            match lower {
                'k' => ranges.push((KELVIN_SIGN, KELVIN_SIGN)),
                's' => ranges.push((LONG_S, LONG_S)),
                _ => {}
            }
        }
    }
}

pub(super) fn contains(ranges: &[Range], code: u32) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&code))
}

/// Everything outside a sorted set of ASCII ranges.
fn complement(set: &[Range]) -> Vec<Range> {
    let mut next = 0;
    let mut outside = Vec::new();
    for (low, high) in set {
        if next < *low {
            outside.push((next, low.saturating_sub(1)));
        }
        next = high.saturating_add(1);
    }
    outside.push((next, u32::from(char::MAX)));
    outside
}

fn perl_class(c: char) -> (&'static [Range], bool) {
    let set = match c.to_ascii_lowercase() {
        'd' => DIGIT,
        's' => SPACE,
        _ => WORD,
    };
    (set, c.is_ascii_uppercase())
}

fn posix_set(name: &str) -> Option<&'static [Range]> {
    Some(match name {
        "alnum" => &[(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)],
        "alpha" => &[(0x41, 0x5A), (0x61, 0x7A)],
        "ascii" => &[(0x00, 0x7F)],
        "blank" => &[(0x09, 0x09), (0x20, 0x20)],
        "cntrl" => &[(0x00, 0x1F), (0x7F, 0x7F)],
        "digit" => DIGIT,
        "graph" => &[(0x21, 0x7E)],
        "lower" => &[(0x61, 0x7A)],
        "print" => &[(0x20, 0x7E)],
        "punct" => &[(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
        "space" => &[(0x09, 0x0D), (0x20, 0x20)],
        "upper" => &[(0x41, 0x5A)],
        "word" => WORD,
        "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    })
}
