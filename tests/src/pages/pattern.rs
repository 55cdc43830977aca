//! Expected output: literal lines, `...` for any number of lines, `...` inside a line for any text.

const ANYTHING: &str = "...";

/// Whether the whole output is as expected; what the expected lines do not mention must not be there.
pub fn matches<S: AsRef<str>>(expected: &[S], output: &[S]) -> bool {
    let Some((pattern, rest)) = expected.split_first() else { return output.is_empty() };
    if pattern.as_ref() == ANYTHING {
        return (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]));
    }
    let Some((line, others)) = output.split_first() else { return false };
    line_matches(pattern.as_ref(), line.as_ref()) && matches(rest, others)
}

/// Whether one line is as expected.
fn line_matches(pattern: &str, line: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once(ANYTHING) else { return pattern == line };
    let (middle, last) = pattern.rsplit_once(ANYTHING).map_or((None, pattern), |(middle, last)| (Some(middle), last));
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle.into_iter().flat_map(|middle| middle.split(ANYTHING)) {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn output_is_held_against_what_is_expected() {
    for (row, expected, output, verdict) in [
        ("equal", "a\nb", "a\nb", true),
        ("nothing", "", "", true),
        ("a wrong line", "a\nb", "a\nc", false),
        ("a missing line", "a\nb", "a", false),
        ("no output", "a", "", false),
        ("an extra line at the end", "a", "a\nb", false),
        ("an extra line between", "a\nc", "a\nb\nc", false),
        ("an extra line at the start", "b", "a\nb", false),
        ("output where none is expected", "", "a", false),
        ("a line that only starts so", "a", "ab", false),
        ("lines in another order", "a\nb", "b\na", false),
        ("any text inside", "a...c", "abc", true),
        ("any text may be none", "a...c", "ac", true),
        ("another start", "a...c", "bc", false),
        ("another end", "a...c", "ab", false),
        ("start and end do not overlap", "ab...bc", "abc", false),
        ("any text at the start", "...c", "abc", true),
        ("any text at the start, another end", "...c", "abd", false),
        ("any text at the end", "a...", "abc", true),
        ("any text at the end, another start", "a...", "bc", false),
        ("any text twice", "a...c...e", "abcde", true),
        ("any text twice, wrong middle", "a...c...e", "abde", false),
        ("the end is not taken for the middle", "a...e...e", "abe", false),
        ("any text is of one line", "a...c", "a\nc", false),
        ("any lines at the end", "a\n...", "a\nb\nc", true),
        ("any lines may be none", "a\n...", "a", true),
        ("any lines alone", "...", "", true),
        ("any lines at the start", "...\nc", "a\nb\nc", true),
        ("any lines, another end", "...\nc", "a\nc\nd", false),
        ("any lines between", "a\n...\nc\n...\ne", "a\nb\nc\nc\nd\ne", true),
        ("any lines, a missing line", "a\n...\nx\n...\ne", "a\nb\nc\nd\ne", false),
    ] {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        assert_eq!(matches(&lines(expected), &lines(output)), verdict, "{row}");
    }
}
