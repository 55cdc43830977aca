use super::Regex;

#[test]
fn rejects_by_name() {
    let rows: &[(&str, &str, &str)] = &[
        ("empty", "", "should not be empty"),
        ("star", "*", "missing argument to repetition operator: *"),
        ("star of flags", "(?i)*", "missing argument to repetition operator: *"),
        ("star of an empty quote", r"\Q\E*", "missing argument to repetition operator: *"),
        ("nested", "a**", "invalid nested repetition operator: **"),
        ("open group", "(a", "missing closing )"),
        ("closed group", "a)", "unexpected )"),
        ("open class", "[a", "missing closing ]"),
        ("range", "[z-a]", "invalid character class range: z-a"),
        ("posix class", "[[:foo:]]", "invalid character class range: [:foo:]"),
        ("repeat count", "a{1001}", "invalid repeat count: {1001}"),
        ("repeat order", "a{3,2}", "invalid repeat count: {3,2}"),
        ("nested repetition", "([a-z]{100}){100}", "invalid repeat count: {100}"),
        ("repetition nested twice", "((a{10}){10}){11}", "invalid repeat count: {11}"),
        ("nested repetition without an end", "(a{2,}){501}", "invalid repeat count: {501}"),
        ("repetition nested in the first alternative", "(a{100}|b){11}", "invalid repeat count: {11}"),
        ("look-ahead", "(?=a)", "invalid or unsupported Perl syntax: (?="),
        ("verbose flag", "(?x)a", "invalid or unsupported Perl syntax: (?x"),
        ("sign without a flag", "(?i-)a", "invalid or unsupported Perl syntax: (?i-)"),
        ("back-reference", r"(a)\1", r"invalid escape sequence: \1"),
        ("reference by name", "(?P=n)", "invalid or unsupported Perl syntax: (?P"),
        ("name of a group", "(?P<n-m>a)", "invalid named capture: (?P<n-m>"),
        ("name of two groups", "(?P<n>a)(?P<n>b)", "invalid named capture: (?P<n>"),
        ("unicode class", r"\p{Greek}", r"Unicode classes (\p) are not supported"),
        ("unicode class in a class", r"[\PL]", r"Unicode classes (\P) are not supported"),
        ("any byte", r"\C", r"\C (any byte) is not supported"),
        ("surrogate", r"\x{D800}", r"invalid escape sequence: \x{D800}"),
        (r"\Z", r"a\Z", r"invalid escape sequence: \Z"),
        ("trailing backslash", "a\\", "trailing backslash"),
        ("large program", "[a-z]{1000}[ü]{1000}.{1000}(?:[a-z]{10}){90}(?:.{1000}){4}", "invalid repeat count"),
        ("large program", &".{1000}".repeat(8), "program size of 64004 is over 32768"),
    ];
    for (name, pattern, expected) in rows {
        let error = Regex::new(pattern).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert!(Regex::new(&"a".repeat(1025)).is_err(), "1,025 bytes");
    assert!(Regex::new(&"a".repeat(1024)).is_ok(), "1,024 bytes");
    assert!(Regex::new(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_ok(), "500 nested groups");
}

#[test]
fn accepts_what_go_and_re2_accept() {
    let patterns = [
        "a(?i)*",
        "a*(?i)*",
        r"a*\Q\E*",
        "(?<n>a)",
        "(?P<n>a)",
        "[[:a]",
        "(?)",
        "(?:)",
        "((a{10}){10}){10}",
        "(a{0}){1000}",
        "(a{0,}){1000}",
        "((a{1000}){0}){1000}",
        r"\01",
        r"\10",
        r"\_",
        "^*",
        "a{,2}",
        "a{1",
        r"\Qab",
        r"[^\x00-\x{10FFFF}]",
    ];
    for pattern in patterns {
        assert!(Regex::new(pattern).is_ok(), "{pattern:?}");
    }
}

/// The sizes are those that Envoy 1.36.4 reports.
#[test]
fn counts_instructions_as_re2_does() {
    let rows: &[(&str, u32)] = &[
        ("abc", 7),
        ("(a)(b)", 10),
        ("a{2,}", 7),
        ("a{2,4}", 10),
        ("(ab|cd){3}", 22),
        ("[a-z]{1000}", 1004),
        ("((a{10}){10}){10}", 1224),
        (r"\bfoo\b", 9),
        (r"(?s).", 11),
        ("[^a]", 12),
        (r"[α-ω]", 8),
        ("(.*a){3}", 37),
        (".*([a-z0-9-]{1,63}\\.){1,10}example\\.com", 2572),
    ];
    for (pattern, expected) in rows {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(regex.program_size(), *expected, "{pattern:?}");
    }
}

#[test]
fn limits_the_sum_of_all_regexes() {
    let read = |rules: usize| {
        let rule = serde_json::json!({
            "match": [{"headers": {"a": {"regex": "[a-z]{1000}".repeat(30)}}}],
            "route": [{"destination": {"host": "reviews"}}],
        });
        let rules = vec![rule; rules];
        crate::Config::read(&serde_json::json!({"virtualServices": [{"hosts": ["reviews"], "http": rules}]}))
    };
    assert!(read(4).is_ok());
    let errors = read(6).expect_err("over the limit");
    assert_eq!(errors.len(), 1, "{errors}");
    let expected =
        "/virtualServices/0/http/4/match/0/headers/a/regex: the regexes up to this one have more than 131072";
    assert!(errors.to_string().starts_with(expected), "{errors}");
}
