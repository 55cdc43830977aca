//! Classes of characters: `[a-z]`, `\d`, `[[:alpha:]]` and `.`.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir};

use super::cursor::Cursor;
use super::flags::Flags;
use super::{case, escape};

/// An inclusive range of characters.
type Range = (char, char);

const DIGIT: &[Range] = &[('0', '9')];
/// Without the vertical tab, unlike `[[:space:]]`.
const SPACE: &[Range] = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: &[Range] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

fn of_ranges(ranges: &[Range]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high)))
}

/// Builds a set as RE2 does in a class: the case is folded before the set is negated.
fn folded(mut set: ClassUnicode, negated: bool, flags: Flags) -> ClassUnicode {
    if flags.fold {
        case::fold(&mut set);
    }
    if negated {
        set.negate();
    }
    set
}

/// One character.
pub(super) fn literal(c: char, flags: Flags) -> ClassUnicode {
    folded(of_ranges(&[(c, c)]), false, flags)
}

/// `.`
pub(super) fn dot(flags: Flags) -> ClassUnicode {
    if flags.dot_newline { of_ranges(&[('\0', char::MAX)]) } else { of_ranges(&[('\0', '\x09'), ('\x0B', char::MAX)]) }
}

/// `\d` and the like, in a class or outside of one. `None` for other escapes. The backslash is already read.
pub(super) fn escaped(rest: &mut Cursor<'_>, flags: Flags) -> Result<Option<ClassUnicode>, String> {
    let (set, negated) = match rest.peek() {
        Some(c @ ('d' | 'D')) => (of_ranges(DIGIT), c == 'D'),
        Some(c @ ('s' | 'S')) => (of_ranges(SPACE), c == 'S'),
        Some(c @ ('w' | 'W')) => (of_ranges(WORD), c == 'W'),
        Some(c @ ('p' | 'P')) => return Err(format!("Unicode classes (\\{c}) are not supported")),
        _ => return Ok(None),
    };
    rest.next();
    Ok(Some(folded(set, negated, flags)))
}

/// A bracket expression. Its `[` is already read.
pub(super) fn bracketed(rest: &mut Cursor<'_>, flags: Flags) -> Result<ClassUnicode, String> {
    let negated = rest.eat("^");
    let mut class = ClassUnicode::empty();
    let mut first = true;
    loop {
        if let Some(set) = posix(rest, flags)? {
            class.union(&set);
            first = false;
            continue;
        }
        let c = rest.next().ok_or("missing closing ]")?;
        match c {
            ']' if !first => break,
            '\\' => match escaped(rest, flags)? {
                Some(set) => class.union(&set),
                None => class.union(&range(escape::character(rest)?, rest, flags)?),
            },
            c => class.union(&range(c, rest, flags)?),
        }
        first = false;
    }
    if negated {
        class.negate();
    }
    Ok(class)
}

/// One character, or a range that starts with it.
fn range(low: char, rest: &mut Cursor<'_>, flags: Flags) -> Result<ClassUnicode, String> {
    let mut ahead = *rest;
    let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
    let high = if is_range {
        rest.next();
        match rest.next().ok_or("missing closing ]")? {
            '\\' => escape::character(rest)?,
            c => c,
        }
    } else {
        low
    };
    if low > high {
        return Err(format!("invalid character class range: {low}-{high}"));
    }
    Ok(folded(of_ranges(&[(low, high)]), false, flags))
}

/// `[:name:]` or `[:^name:]`. `None` if the input continues differently.
fn posix(rest: &mut Cursor<'_>, flags: Flags) -> Result<Option<ClassUnicode>, String> {
    let mut ahead = *rest;
    if !ahead.eat("[:") {
        return Ok(None);
    }
    let Some(name) = ahead.take_until(":]") else { return Ok(None) };
    *rest = ahead;
    let plain = name.strip_prefix('^');
    let set = posix_set(plain.unwrap_or(name)).ok_or_else(|| format!("invalid character class range: [:{name}:]"))?;
    Ok(Some(folded(of_ranges(set), plain.is_some(), flags)))
}

fn posix_set(name: &str) -> Option<&'static [Range]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7F')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1F'), ('\x7F', '\x7F')],
        "digit" => DIGIT,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

/// The class as bytes.
///
/// If a class has all characters from U+0080 on, RE2 compiles them to a lead byte and the number of continuation bytes
/// that it announces. So `.` also matches overlong forms, surrogates and code points above U+10FFFF.
pub(super) fn to_hir(class: ClassUnicode) -> Hir {
    let has_all =
        |low: char, high: char| class.ranges().iter().any(|range| range.start() <= low && high <= range.end());
    if has_all('\u{80}', char::MAX) {
        let ascii = class.ranges().iter().filter_map(|range| {
            let low = u8::try_from(range.start()).ok().filter(u8::is_ascii)?;
            Some(ClassBytesRange::new(low, u8::try_from(range.end()).unwrap_or(0x7F).min(0x7F)))
        });
        return Hir::alternation(vec![Hir::class(Class::Bytes(ClassBytes::new(ascii))), beyond_ascii()]);
    }
    let surrogates = has_all('\u{D7FF}', '\u{E000}');
    let characters = Hir::class(Class::Unicode(class));
    if surrogates {
        let encoded = Hir::concat(vec![bytes(0xED, 0xED), bytes(0xA0, 0xBF), bytes(0x80, 0xBF)]);
        return Hir::alternation(vec![characters, encoded]);
    }
    characters
}

/// Sequences of two, three and four bytes, which share their continuation bytes.
fn beyond_ascii() -> Hir {
    let continued = |lead: Hir| Hir::concat(vec![lead, bytes(0x80, 0xBF)]);
    let three_left = Hir::alternation(vec![continued(bytes(0xF0, 0xF4)), bytes(0xE0, 0xEF)]);
    let two_left = Hir::alternation(vec![continued(three_left), bytes(0xC2, 0xDF)]);
    continued(two_left)
}

fn bytes(low: u8, high: u8) -> Hir {
    Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(low, high)])))
}
