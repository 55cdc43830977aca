//! Regular expressions with RE2's meaning, matched against a whole value.
//!
//! Istio validates patterns with Go's `regexp`, Envoy runs them with RE2; both mean the same. The engine here is
//! `regex-lite`, whose syntax differs in places (`\s`, `\<`, `(?x)`, class operators …). A pattern is therefore read with
//! RE2's grammar and written anew for the engine; what the engine cannot express is refused by name:
//! Unicode classes (`\p{…}`), and characters outside ASCII where case is ignored.
//!
//! A value that is not UTF-8 matches no pattern, as in RE2, where even `.*` has to cover whole characters.

mod re2;

use std::fmt;

/// A compiled pattern. Equality is that of the pattern's text.
#[derive(Clone)]
pub struct Regex {
    pattern: String,
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
        if pattern.is_empty() {
            return Err(InvalidRegex("regex string match should not be empty".to_owned()));
        }
        if pattern.len() > MAX_PATTERN {
            return Err(InvalidRegex(format!("regex is too large, max length allowed is {MAX_PATTERN}")));
        }
        let translated =
            re2::translate(pattern).map_err(|error| InvalidRegex(format!("regex {pattern:?}: {error}")))?;
        let engine = regex_lite::Regex::new(&format!(r"\A(?:{translated})\z"))
            .map_err(|error| InvalidRegex(format!("regex {pattern:?}: {error}")))?;
        Ok(Self { pattern: pattern.to_owned(), engine })
    }

    /// Whether the whole value matches.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        std::str::from_utf8(value).is_ok_and(|value| self.engine.is_match(value))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

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
