//! Regular expressions with RE2's meaning, matched against a whole value.
//!
//! Istio validates patterns with Go's `regexp`, Envoy runs them with RE2; both mean the same. The engine here is
//! `regex-lite`, whose syntax differs in places (`\s`, `\<`, `(?x)`, class operators …). A pattern is therefore read with
//! RE2's grammar and written anew for the engine; what the engine cannot express is refused by name:
//! Unicode classes (`\p{…}`), and characters outside ASCII where case is ignored.
//!
//! Most patterns are also an `automaton`, which decides a value in a tenth of the engine's time; the engine decides what the
//! automaton leaves open.
//!
//! A value that is not UTF-8 matches no pattern, as in RE2, where even `.*` has to cover whole characters.

mod automaton;
mod builder;
mod necessary;
mod re2;

use std::fmt;
use std::hash::{Hash, Hasher};

use automaton::Automaton;
pub use necessary::Necessary;

/// A compiled pattern. Equality is that of the pattern's text.
#[derive(Clone)]
pub struct Regex {
    pattern: String,
    automaton: Option<Box<Automaton>>,
    engine: regex_lite::Regex,
}

/// Istio's limit for the length of a pattern, in bytes.
const MAX_PATTERN: usize = 1024;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRegex(String);

impl fmt::Display for InvalidRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRegex {}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// If it is empty, longer than 1,024 bytes, not in RE2's syntax, or beyond what the engine can express.
    pub fn new(pattern: &str) -> Result<Self, InvalidRegex> {
        let (engine, automaton) = compile(pattern, |translated| format!(r"\A(?:{translated})\z"))?;
        Ok(Self { pattern: pattern.to_owned(), automaton, engine })
    }

    /// Whether the whole value matches.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        let judged = self.automaton.as_ref().and_then(|automaton| automaton.is_match(value));
        judged.unwrap_or_else(|| std::str::from_utf8(value).is_ok_and(|value| self.engine.is_match(value)))
    }

    /// What a value needs in order to match; `None` where nothing simple is known.
    pub fn necessary(&self) -> Option<Necessary<'_>> {
        Necessary::of(&self.pattern)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

fn compile(
    pattern: &str,
    anchor: impl FnOnce(&str) -> String,
) -> Result<(regex_lite::Regex, Option<Box<Automaton>>), InvalidRegex> {
    if pattern.is_empty() {
        return Err(InvalidRegex("regex string match should not be empty".to_owned()));
    }
    if pattern.len() > MAX_PATTERN {
        return Err(InvalidRegex(format!("regex is too large, max length allowed is {MAX_PATTERN}")));
    }
    let refuse = |error: &dyn fmt::Display| InvalidRegex(format!("regex {pattern:?}: {error}"));
    let (translated, automaton) = re2::translate(pattern).map_err(|error| refuse(&error))?;
    let engine = regex_lite::Regex::new(&anchor(&translated)).map_err(|error| refuse(&error))?;
    Ok((engine, automaton))
}

/// A pattern whose hits are replaced wherever they are, as by RE2's `GlobalReplace`.
#[derive(Clone)]
pub struct Substitution {
    pattern: String,
    rewrite: String,
    engine: regex_lite::Regex,
    parts: Vec<Part>,
}

/// A piece of a substitution's rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A group of the pattern; 0 is the whole hit.
    Group(usize),
}

impl Substitution {
    /// Compiles a pattern and what its hits become: `\1` is the first group, `\0` the whole hit, `\\\\` a backslash.
    ///
    /// # Errors
    /// As for [`Regex::new`], and for a rewrite that names a group which the pattern does not have.
    pub fn new(pattern: &str, rewrite: &str) -> Result<Self, InvalidRegex> {
        let (engine, _) = compile(pattern, |translated| translated.to_owned())?;
        let parts = parse_rewrite(rewrite, engine.captures_len())?;
        Ok(Self { pattern: pattern.to_owned(), rewrite: rewrite.to_owned(), engine, parts })
    }

    /// The text with every hit replaced; text that is not UTF-8 has none.
    #[must_use]
    pub fn replace_all(&self, text: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
        let replaced = self.engine.replace_all(text, |captures: &regex_lite::Captures<'_>| {
            let parts = self.parts.iter().map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Group(group) => captures.get(*group).map_or("", |group| group.as_str()),
            });
            parts.collect::<String>()
        });
        replaced.into_owned().into_bytes()
    }
}

fn parse_rewrite(rewrite: &str, groups: usize) -> Result<Vec<Part>, InvalidRegex> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut characters = rewrite.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escaped = characters.next();
        match escaped.map(|c| (c, c.to_digit(10).and_then(|digit| usize::try_from(digit).ok()))) {
            Some((_, Some(group))) if group < groups => {
                parts.extend([Part::Text(std::mem::take(&mut text)), Part::Group(group)]);
            }
            Some((_, Some(group))) => {
                return Err(InvalidRegex(format!(
                    "rewrite {rewrite:?} names group {group}, the pattern has {}",
                    groups.saturating_sub(1)
                )));
            }
            Some(('\\', None)) => text.push('\\'),
            _ => {
                return Err(InvalidRegex(format!(
                    "rewrite {rewrite:?}: a backslash wants a digit or a backslash after it"
                )));
            }
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.rewrite == other.rewrite
    }
}

impl Eq for Substitution {}

impl fmt::Debug for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Substitution({:?} => {:?})", self.pattern, self.rewrite)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::Regex;

    #[test]
    fn means_what_re2_means() {
        let rows: &[(&str, &str, &[u8], bool)] = &[
            ("whole value", "jas", b"jason", false),
            ("alternatives are anchored together", "/foo|/foo/bar", b"/foo/bar", true),
            ("cookie", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b;user=jason;c=d", true),
            ("dot is no newline", "a.b", b"a\nb", false),
            ("dot with s", "(?s)a.b", b"a\nb", true),
            ("dot takes a whole character", "a.b", "aüb".as_bytes(), true),
            ("not UTF-8", ".*", b"\xff", false),
            ("digit is ASCII", r"\d+", "٣".as_bytes(), false),
            (r"\s has no vertical tab", r"\s", b"\x0b", false),
            (r"\S has the vertical tab", r"\S", b"\x0b", true),
            ("[[:space:]] has the vertical tab", "[[:space:]]", b"\x0b", true),
            ("negated class in a class", r"[\D]+", b"abc", true),
            ("negated class in a class misses", r"[\D]+", b"ab1", false),
            (r"\< is an angle bracket", r"\<b\>", b"<b>", true),
            ("quoted", r"\Qa.b\E+", b"a.bb", true),
            ("quoted is literal", r"\Qa.b\E", b"axb", false),
            ("octal", r"\101\x42\x{43}", b"ABC", true),
            ("brace that repeats nothing", "a{,2}", b"a{,2}", true),
            ("counted", "a{2,3}", b"aaaa", false),
            (r"\b before a brace", r"\b{1}a", b"a", true),
            ("class operators are characters", "[a&&b]+", b"a&b", true),
            ("bracket in a class", "[[a]+", b"[a", true),
            ("closing bracket first", "[]a]+", b"]a", true),
            ("dash last", "[a-]+", b"a-", true),
            ("ignore case", "(?i)JASON", b"jason", true),
            ("ignore case in a class", "(?i)[a-c]+", b"aBC", true),
            ("ignore case beside another flag", "(?is)a.b", b"A\nB", true),
            ("ignore case folds the Kelvin sign", "(?i)k", "\u{212A}".as_bytes(), true),
            ("ignore case in a group only", "(?i:a)b", b"AB", false),
            ("ignore case switched off", "(?i)a(?-i)b", b"AB", false),
            ("named group", "(?P<user>j.*)", b"jason", true),
            ("multi-line anchors", "(?m)a$\nb", b"a\nb", true),
            ("dollar is the end of the text", "a$", b"a\n", false),
        ];
        for (name, pattern, value, expected) in rows {
            let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(regex.is_match(value), *expected, "{name}: {pattern:?}");
        }
    }

    #[test]
    fn refuses_by_name() {
        let rows: &[(&str, &str, &str)] = &[
            ("empty", "", "should not be empty"),
            ("star", "*", "missing argument to repetition operator: *"),
            ("nested", "a**", "invalid nested repetition operator: *"),
            ("open group", "(a", "missing closing )"),
            ("closed group", "a)", "unexpected )"),
            ("open class", "[a", "missing closing ]"),
            ("range", "[z-a]", "invalid character class range: z-a"),
            ("posix class", "[[:foo:]]", "invalid character class range: [:foo:]"),
            ("repeat count", "a{1001}", "invalid repeat count: {1001}"),
            ("repeat order", "a{3,2}", "invalid repeat count: {3,2}"),
            ("look-ahead", "(?=a)", "invalid or unsupported Perl syntax: (?="),
            ("verbose flag", "(?x)a", "invalid or unsupported Perl syntax: (?x"),
            ("back-reference", r"(a)\1", r"invalid escape sequence: \1"),
            ("unicode class", r"\p{Greek}", r"Unicode classes (\p) are not supported"),
            ("any byte", r"\C", r"\C (any byte) is not supported"),
            (r"\Z", r"a\Z", r"invalid escape sequence: \Z"),
            ("trailing backslash", "a\\", "trailing backslash"),
            ("foreign letters without case", "(?i)ü", "outside ASCII"),
        ];
        for (name, pattern, expected) in rows {
            let error = Regex::new(pattern).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        assert!(Regex::new(&"a".repeat(1025)).is_err(), "1,025 bytes");
        assert!(Regex::new(&"a".repeat(1024)).is_ok(), "1,024 bytes");
    }
}
