//! Names of series, such as `host=.=reviews;.;version=.=v2;.;canary_requests_total`.
//!
//! The labels come first, each as `LABEL=.=VALUE;.;`, as in the statistics of Istio's own wasm filters. Istio's
//! `extraStatTags` makes the regex `(host=\.=(.*?);\.;)` of a label, which extracts it from the name. The same regex
//! works in Envoy's `stats_tags`. Values are cleaned, so that none contains a separator.

/// The most characters of a value: the length of the longest DNS name. Longer values are cut.
const MAX_VALUE: usize = 253;
/// The label for an empty value.
const EMPTY: &str = "-";

/// The name of a metric's series with these labels.
pub(super) fn series<'l, 'v>(metric: &str, labels: impl Iterator<Item = (&'l str, &'v str)>) -> String {
    let mut name = String::new();
    for (label, value) in labels {
        name.push_str(label);
        name.push_str("=.=");
        name.push_str(if value.is_empty() { EMPTY } else { "" });
        name.extend(value.chars().take(MAX_VALUE).map(clean));
        name.push_str(";.;");
    }
    name.push_str(metric);
    name
}

fn clean(character: char) -> char {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ':' | '/' | '|' | '*' | '~' | '@' => character,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_the_encoding() {
        let long = "a".repeat(300);
        let cut = "a".repeat(MAX_VALUE);
        for (row, value, shown) in [
            ("host", "reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local"),
            ("cluster", "outbound|9080|v2|reviews", "outbound|9080|v2|reviews"),
            ("nothing", "", "-"),
            ("end of a value", "a;.;version=.=v9;.;", "a_._version_._v9_._"),
            ("control bytes", "a\nb\0c\u{7f}", "a_b_c_"),
            ("what Prometheus escapes", "a\"b\\c{d}", "a_b_c_d_"),
            ("not ASCII", "é😀", "__"),
            ("long", &long, &cut),
        ] {
            assert_eq!(series("m", [("l", value)].into_iter()), format!("l=.={shown};.;m"), "{row}");
        }
        assert_eq!(series("m", [("a", "1"), ("b", "2")].into_iter()), "a=.=1;.;b=.=2;.;m");
        assert_eq!(series("m", [].into_iter()), "m");
    }
}
