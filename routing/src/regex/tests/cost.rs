//! Time grows linearly with the value, for any bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use canary_config::regex::{Regex, Substitution};

use crate::regex::caches::MAX_CACHE_BYTES;
use crate::regex::{RegexCaches, RegexSet, Rewriter};

/// The shortest time of several runs.
fn shortest(mut run: impl FnMut()) -> Duration {
    let once = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    (0..7).map(once).min().unwrap_or_default()
}

/// Sixteen small values take about as long as one value of their total size. With quadratic cost they would take a sixteenth.
fn assert_linear(name: &str, mut run: impl FnMut(usize)) {
    let (small, large) = (4 << 10, 64 << 10);
    let many = shortest(|| (0..16).for_each(|_| run(small)));
    let one = shortest(|| run(large));
    let limit = many.saturating_mul(6).saturating_add(Duration::from_millis(2));
    assert!(one < limit, "{name}: {many:?} for 16 times {small} bytes, {one:?} for {large}");
}

#[test]
fn hostile_values_take_linear_time() {
    let cookie = "^(.*?;)?(user=jason)(;.*)?$";
    let agent = ".*(Mobile|iPhone|Android).*";
    let host = r".*[a-z0-9-]{1,63}\.example\.com";
    let hosts = r".*([a-z0-9-]{1,63}\.){1,10}example\.com";
    let rows: &[(&str, &str, &str, &[u8])] = &[
        ("cookies", cookie, "user=jason;", b""),
        ("cookies, then a broken character", cookie, "user=jason;", b"\xff"),
        ("cookies, then a character outside ASCII", cookie, "user=jason;", "ü".as_bytes()),
        ("user agent", agent, "Mobil iPhon ", b""),
        ("user agent, then a broken character", agent, "Mobil iPhon ", b"\xff"),
        ("user agent, then a character outside ASCII", agent, "Mobil iPhon ", "ü".as_bytes()),
        ("long repetition", host, "a-", b""),
        ("nested repetition", hosts, "a-", b""),
        ("nested repetition of short labels", hosts, "a.", b""),
        ("as many states as bytes", ".*a[ab]{60}", "abbaababbbaabab", b"\xff"),
    ];
    for (name, pattern, text, end) in rows {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{name}: {error}"));
        let set = RegexSet::new(&[&regex], &Arc::new(RegexCaches::new()));
        assert_linear(name, |size| {
            let value = [text.repeat(size / text.len()).as_bytes(), end].concat();
            std::hint::black_box(set.is_match(&value));
        });
    }
}

#[test]
fn hostile_paths_are_rewritten_in_linear_time() {
    let rows = [
        ("dead ends", r"[^/]*\.html|_", "_"),
        ("failed attempts after every byte", r"_.*\.html|_", "_"),
        ("nested stars", "(a*)*b|a", "a"),
        ("nested stars that match nothing", "(a|aa)*$|(a*)*b", "a/"),
        ("counted", r"([a-z0-9-]{1,63}\.){1,10}com|a", "a-a."),
        ("empty matches", "(x*)*", "ab"),
        ("sets as many as bytes", "([ab]{60}a.*)?", "abbaababbbaabab"),
    ];
    for (name, pattern, text) in rows {
        let substitution = Substitution::new(pattern, r"<\0>").unwrap_or_else(|error| panic!("{name}: {error}"));
        let rewriter = Rewriter::new(&substitution, &Arc::new(RegexCaches::new()));
        assert_linear(name, |size| {
            std::hint::black_box(rewriter.rewrite(text.repeat(size / text.len()).as_bytes()));
        });
    }
}

#[test]
fn the_caches_of_a_table_have_one_bound() {
    let caches = Arc::new(RegexCaches::new());
    let patterns: Vec<Regex> = (0..1000)
        .map(|index| Regex::new(&format!(".*{index}a[ab]{{12}}")).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    let sets: Vec<RegexSet> = patterns.iter().map(|pattern| RegexSet::new(&[pattern], &caches)).collect();
    for set in &sets {
        let _ = set.is_match("abbaababbbaabab12a".repeat(50).as_bytes());
        assert!(caches.memory_usage() <= MAX_CACHE_BYTES);
    }
}

#[test]
fn thousands_of_patterns_are_built_in_groups() {
    let patterns: Vec<Regex> = (0..3000)
        .map(|index| Regex::new(&format!("/item{index}/[0-9]+")).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    let set = RegexSet::new(&patterns.iter().collect::<Vec<_>>(), &Arc::new(RegexCaches::new()));
    let mut found = Vec::new();
    set.matches(b"/item2718/42", &mut |index| found.push(index));
    assert_eq!(found, [2718]);
}
