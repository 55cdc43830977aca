use std::sync::Arc;

use canary_config::regex::Regex;

use crate::regex::{RegexCaches, RegexSet};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn means_what_re2_means() {
    let rows: &[(&str, &str, &[u8], bool)] = &[
        ("whole value", "jas", b"jason", false),
        ("alternatives are anchored together", "/foo|/foo/bar", b"/foo/bar", true),
        ("cookie", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b;user=jason;c=d", true),
        ("cookie alone", r"^(.*?;)?(user=jason)(;.*)?$", b"user=jason", true),
        ("another user's cookie", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b;user=jasonx;c=d", false),
        ("cookie after a blank", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b; user=jason", false),
        ("cookie before a newline", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b;user=jason;\n", false),
        ("cookie before a broken character", r"^(.*?;)?(user=jason)(;.*)?$", b"a=b;user=jason;\xff", false),
        ("dot does not match a newline", "a.b", b"a\nb", false),
        ("dot with s", "(?s)a.b", b"a\nb", true),
        ("dot matches a whole character", "a.b", "aüb".as_bytes(), true),
        ("dot does not match half of a character", "a..b", "aüb".as_bytes(), false),
        ("not UTF-8", ".*", b"\xff", false),
        ("not UTF-8, negated", "[^a]", b"\xff", false),
        ("not UTF-8, prefix", "a.*", b"a\xff", false),
        ("not UTF-8, suffix", ".*a", b"\xffa", false),
        ("not UTF-8, cut off", "a.*", b"a\xc3", false),
        ("not UTF-8, between", ".*a.*", b"ba\xc3c", false),
        ("a surrogate as RE2 matches it", ".", b"\xed\xa0\x80", true),
        ("an overlong form as RE2 matches it", ".", b"\xe0\x80\x80", true),
        ("beyond U+10FFFF as RE2 takes it", ".", b"\xf4\xbf\xbf\xbf", true),
        ("a surrogate, prefix", "a.*", b"a\xed\xa0\x80", true),
        ("a surrogate in a negated class", "[^\u{fc}]", b"\xed\xa0\x80", true),
        ("digit is ASCII", r"\d+", "٣".as_bytes(), false),
        (r"\s has no vertical tab", r"\s", b"\x0b", false),
        (r"\S has the vertical tab", r"\S", b"\x0b", true),
        ("[[:space:]] has the vertical tab", "[[:space:]]", b"\x0b", true),
        ("negated class in a class", r"[\D]+", b"abc", true),
        ("negated class in a class misses", r"[\D]+", b"ab1", false),
        ("negated class has the newline", "a[^b]c", b"a\nc", true),
        (r"\< is an angle bracket", r"\<b\>", b"<b>", true),
        ("quoted", r"\Qa.b\E+", b"a.bb", true),
        ("quoted is literal", r"\Qa.b\E", b"axb", false),
        ("octal", r"\101\x42\x{43}", b"ABC", true),
        ("brace that repeats nothing", "a{,2}", b"a{,2}", true),
        ("counted", "a{2,3}", b"aaaa", false),
        (r"\b before a brace", r"\b{1}a", b"a", true),
        (r"\b is ASCII", r"a\bü", "aü".as_bytes(), true),
        ("class operators are characters", "[a&&b]+", b"a&b", true),
        ("bracket in a class", "[[a]+", b"[a", true),
        ("no name of a class", "[[:a]+", b"[:a", true),
        ("closing bracket first", "[]a]+", b"]a", true),
        ("dash last", "[a-]+", b"a-", true),
        ("ignore case", "(?i)JASON", b"jason", true),
        ("ignore case in a class", "(?i)[a-c]+", b"aBC", true),
        ("ignore case beside another flag", "(?is)a.b", b"A\nB", true),
        ("ignore case folds the Kelvin sign", "(?i)k", "\u{212A}".as_bytes(), true),
        (r"ignore case, then negate", r"(?i)\W", "\u{212A}".as_bytes(), false),
        ("ignore case outside ASCII", "(?i)ü", "Ü".as_bytes(), true),
        ("ignore case in a group only", "(?i:a)b", b"AB", false),
        ("ignore case switched off", "(?i)a(?-i)b", b"AB", false),
        ("flags end with their group", "(a(?i)b)c", b"aBC", false),
        ("flags between a part and its star", "a(?i)*b", b"aaB", true),
        ("named group", "(?P<user>j.*)", b"jason", true),
        ("multi-line anchors", "(?m)a$\nb", b"a\nb", true),
        ("multi-line start", "(?m)a\n^b", b"a\nb", true),
        ("dollar is the end of the text", "a$", b"a\n", false),
        ("dollar in the middle", "a$b", b"ab", false),
        ("empty class", r"[^\x00-\x{10FFFF}]", b"a", false),
        ("exact", "jason", b"jason", true),
        ("exact longer", "jason", b"jasons", false),
        ("prefix", "/api/.*", b"/api/v1", true),
        ("prefix with a newline", "/api/.*", b"/api/\n", false),
        ("suffix", ".*\\.html", b"/a.html", true),
    ];
    let caches = Arc::new(RegexCaches::new());
    for (name, pattern, value, expected) in rows {
        let set = RegexSet::new(&[&regex(pattern)], &caches);
        assert_eq!(set.is_match(value), *expected, "{name}: {pattern:?}");
    }
    let regexes: Vec<Regex> = rows.iter().map(|(_, pattern, ..)| regex(pattern)).collect();
    let all = RegexSet::new(&regexes.iter().collect::<Vec<_>>(), &caches);
    for (name, _, value, _) in rows {
        let mut found = Vec::new();
        all.matches(value, &mut |index| found.push(index));
        found.sort_unstable();
        let alone = |regex: &Regex| RegexSet::new(&[regex], &caches).is_match(value);
        let expected: Vec<usize> = (0..regexes.len()).filter(|index| alone(&regexes[*index])).collect();
        assert_eq!(found, expected, "{name}: all patterns at once on {value:?}");
    }
}
