use std::sync::Arc;

use canary_config::regex::Substitution;

use crate::regex::{RegexCaches, Rewriter};

/// Name, pattern, rewrite, text and what becomes of it.
type Row<'r> = (&'r str, &'r str, &'r str, &'r [u8], &'r [u8]);

#[test]
fn rewrites_as_global_replace_does() {
    let rows: &[Row<'_>] = &[
        ("every match", "o", "0", b"/look", b"/l00k"),
        ("whole match", "l(o+)k", r"[\0]", b"/look", b"/[look]"),
        ("groups", "^/r2/([^/]+)(/.*)$", r"/\1\2", b"/r2/a/b", b"/a/b"),
        ("groups swapped", "/(a+)/(b+)", r"/\2/\1", b"/aa/b/c", b"/b/aa/c"),
        ("backslash", "a", r"\\", b"bab", br"b\b"),
        ("no match", "x", "y", b"/look", b"/look"),
        ("group that is no part of the match", "(a)|b", r"<\1>", b"ab", b"<a><>"),
        ("last round of a repeated group", "(?:(a)|b)+", r"<\1>", b"ab", b"<a>"),
        ("first alternative wins", "a|ab", "x", b"ab", b"xb"),
        ("lazy", "a+?", "x", b"aa", b"xx"),
        ("empty matches", "x*", "-", b"abc", b"-a-b-c-"),
        ("empty match behind a match", "b*", "-", b"abbc", b"-a-c-"),
        ("empty matches between characters", "()", "-", "aü".as_bytes(), "-a-ü-".as_bytes()),
        ("empty matches around broken characters", "()", "-", b"\xc3a", b"-\xc3-a-"),
        ("start of the text only", "^a", "x", b"aa", b"xa"),
        ("end of the text", "a$", "x", b"aa", b"ax"),
        ("word boundaries", r"\b", "|", b"ab cd", b"|ab| |cd|"),
        ("lines", "(?m)^", ">", b"a\nb", b">a\n>b"),
        ("broken characters stay", "a", "x", b"a\xffa", b"x\xffx"),
        ("broken characters match no dot", "a.", "x", b"a\xffab", b"a\xffx"),
        ("dead ends", r"[^/]*\.html|_", "-", b"__/__a.html__/_", b"--/---/-"),
        ("empty text", "^$", "x", b"", b"x"),
    ];
    let caches = Arc::new(RegexCaches::new());
    for (name, pattern, rewrite, text, expected) in rows {
        let substitution = Substitution::new(pattern, rewrite).unwrap_or_else(|error| panic!("{name}: {error}"));
        let result = Rewriter::new(&substitution, &caches).rewrite(text);
        assert_eq!(String::from_utf8_lossy(&result), String::from_utf8_lossy(expected), "{name}: {pattern:?}");
        assert_eq!(result, *expected, "{name}: {pattern:?}");
    }
}
