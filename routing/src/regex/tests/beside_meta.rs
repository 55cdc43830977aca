//! Compares sets and rewrites with regex-automata's `meta::Regex`, which searches one pattern by other algorithms.

#![expect(clippy::arithmetic_side_effects, reason = "test code")]

use std::sync::Arc;

use canary_config::regex::{Regex, Substitution, parse};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use regex_automata::Input;
use regex_automata::meta;
use regex_automata::util::{captures::Captures, syntax};

use crate::regex::{RegexCaches, RegexSet, RequiredLiteral, Rewriter, pieces};

/// A pattern in RE2's syntax, the same pattern for regex-automata, and a text that it probably matches.
type Sample = ((String, String), String);

fn engine(pattern: &str) -> meta::Regex {
    let syntax = syntax::Config::new().utf8(false);
    let config = meta::Config::new().utf8_empty(false);
    // Go and RE2 accept a group with no flags.
    meta::Builder::new().syntax(syntax).configure(config).build(&pattern.replace("(?)", "(?:)")).unwrap()
}

fn leaf() -> impl Strategy<Value = Sample> {
    let rows = [
        ("a", "a", "a"),
        ("b", "b", "b"),
        ("/", "/", "/"),
        (";", ";", ";"),
        ("user=", "user=", "user="),
        ("ü", "ü", "ü"),
        (".", ".", "a"),
        (".*", ".*", "ab"),
        (".*?", ".*?", ""),
        ("(.*?;)?", "(.*?;)?", "a;"),
        ("(;.*)?", "(;.*)?", ";a"),
        ("(?s:.)", "(?s:.)", "\n"),
        ("(?i:a)", "(?i:a)", "A"),
        ("(?i:ü)", "(?i:ü)", "Ü"),
        ("[a-c]", "[a-c]", "c"),
        ("[^a]", "[^a]", "b"),
        ("[^a-z]+", "[^a-z]+", "A7"),
        (r"\d", "[0-9]", "7"),
        (r"\D", "[^0-9]", "ü"),
        (r"\w+", "[0-9A-Za-z_]+", "a7"),
        (r"\.", r"\.", "."),
        (r"\n", r"\n", "\n"),
        ("^", "^", ""),
        ("$", "$", ""),
        (r"\A", r"\A", ""),
        (r"\z", r"\z", ""),
        ("(?m:^)", "(?m:^)", ""),
        ("(?m:$)", "(?m:$)", ""),
        (r"(?:\b)", r"(?-u:\b)", ""),
        (r"(?:\B)", r"(?-u:\B)", ""),
        ("()", "()", ""),
    ];
    let own = |(re2, other, text): (&str, &str, &str)| ((re2.to_owned(), other.to_owned()), text.to_owned());
    select(rows.to_vec()).prop_map(own)
}

/// Joins patterns, in both syntaxes.
fn both(parts: Vec<(String, String)>, join: impl Fn(Vec<String>) -> String) -> (String, String) {
    let (re2, other) = parts.into_iter().unzip();
    (join(re2), join(other))
}

/// Patterns of every shape that the syntax allows, a few levels deep.
fn patterns() -> impl Strategy<Value = Sample> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let inner = inner.boxed();
        let sequence = prop::collection::vec(inner.clone(), 1..5).prop_map(|parts: Vec<Sample>| {
            let (patterns, texts): (Vec<_>, Vec<String>) = parts.into_iter().unzip();
            (both(patterns, |parts| parts.concat()), texts.concat())
        });
        let alternatives = (prop::collection::vec(inner.clone(), 1..4), any::<Index>()).prop_map(|(parts, taken)| {
            let text = taken.get(&parts).1.clone();
            let patterns = parts.into_iter().map(|(pattern, _)| pattern).collect();
            (both(patterns, |parts| format!("({})", parts.join("|"))), text)
        });
        let operators = [
            ("*", 0..4),
            ("+", 1..4),
            ("?", 0..2),
            ("*?", 0..4),
            ("+?", 1..4),
            ("??", 0..2),
            ("{0}", 0..1),
            ("{1}", 1..2),
            ("{2}", 2..3),
            ("{3,}", 3..6),
            ("{0,2}", 0..3),
            ("{1,3}?", 1..4),
            ("{5}", 5..6),
        ];
        let repetition = (inner, select(operators.to_vec()), any::<Index>()).prop_map(
            |((pattern, text), (operator, times), taken)| {
                let times = times.start + taken.index(times.len());
                (both(vec![pattern], |parts| format!("(?:{}){operator}", parts.concat())), text.repeat(times))
            },
        );
        prop_oneof![2 => sequence, 1 => alternatives, 2 => repetition]
    })
}

/// Removes or inserts a byte or character.
fn edited(text: &[u8], (place, insert): &(Index, Option<&'static [u8]>)) -> Vec<u8> {
    let place = place.index(text.len() + 1);
    let (before, behind) = text.split_at(place);
    match insert {
        Some(bytes) => [before, bytes, behind].concat(),
        None => [before, behind.get(1..).unwrap_or_default()].concat(),
    }
}

fn edit() -> impl Strategy<Value = (Index, Option<&'static [u8]>)> {
    let texts: [&'static [u8]; 12] =
        [b"a", b"b", b"c", b"A", b"7", b"/", b";", b".", b" ", b"\n", "ü".as_bytes(), b"\xff"];
    let choices = texts.into_iter().map(Some).chain([None, None, None]).collect::<Vec<_>>();
    (any::<Index>(), select(choices))
}

/// The text of a sample, texts with one edit, and one with several.
fn values(text: &str, edits: &[(Index, Option<&'static [u8]>)]) -> Vec<Vec<u8>> {
    let text = text.as_bytes().to_vec();
    let near = edits.iter().map(|edit| edited(&text, edit));
    let far = edits.iter().fold(text.clone(), |text, edit| edited(&text, edit));
    near.chain([text.clone(), far]).collect()
}

/// RE2's `GlobalReplace` with the other engine.
fn global_replace(engine: &meta::Regex, text: &[u8], expand: impl Fn(&Captures) -> Vec<u8>) -> Vec<u8> {
    let (mut result, mut position, mut last_end) = (Vec::new(), 0, None);
    let mut captures = engine.create_captures();
    while position <= text.len() {
        engine.search_captures(&Input::new(text).range(position..), &mut captures);
        let Some(found) = captures.get_match() else { break };
        result.extend(&text[position..found.start()]);
        if found.is_empty() && last_end == Some(found.start()) {
            let rest = &text[position..];
            let valid = (1..=rest.len().min(4)).find(|length| std::str::from_utf8(&rest[..*length]).is_ok());
            let skipped = valid.unwrap_or(1).min(rest.len());
            result.extend(&rest[..skipped]);
            position += skipped.max(1);
            continue;
        }
        result.extend(expand(&captures));
        position = found.end();
        last_end = Some(position);
    }
    result.extend(text.get(position..).unwrap_or_default());
    result
}

fn config() -> ProptestConfig {
    let cases = ProptestConfig::default().cases.saturating_mul(8);
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_set_matches_as_the_engine_does(
        samples in prop::collection::vec(patterns(), 1..6),
        edits in prop::collection::vec(edit(), 6),
    ) {
        let samples: Vec<Sample> = samples.into_iter().filter(|((re2, _), _)| Regex::new(re2).is_ok()).collect();
        let regexes: Vec<Regex> = samples.iter().map(|((re2, _), _)| Regex::new(re2).unwrap()).collect();
        let engines: Vec<meta::Regex> =
            samples.iter().map(|((_, other), _)| engine(&format!(r"\A(?:{other})\z"))).collect();
        let set = RegexSet::new(&regexes.iter().collect::<Vec<_>>(), &Arc::new(RegexCaches::new()));
        for value in samples.iter().flat_map(|(_, text)| values(text, &edits)) {
            let mut found = Vec::new();
            set.matches(&value, &mut |index| found.push(index));
            found.sort_unstable();
            let expected: Vec<usize> = (0..engines.len()).filter(|index| engines[*index].is_match(&value)).collect();
            prop_assert_eq!(&found, &expected, "{:?} on {:?}", regexes, String::from_utf8_lossy(&value));
            for regex in found.iter().map(|index| &regexes[*index]) {
                let holds = match RequiredLiteral::of(&pieces::of(&parse(regex.as_str()).unwrap())) {
                    Some(RequiredLiteral::Start(text)) => value.starts_with(&text),
                    Some(RequiredLiteral::Element(text)) => value.split(|byte| *byte == b';').any(|part| part == text),
                    None => true,
                };
                prop_assert!(holds, "{:?} does not require this of {:?}", regex, String::from_utf8_lossy(&value));
            }
        }
    }

    #[test]
    fn a_rewrite_replaces_as_re2s_loop_with_the_engine_does(
        ((re2, other), text) in patterns(),
        edits in prop::collection::vec(edit(), 6),
    ) {
        prop_assume!(Regex::new(&re2).is_ok());
        let engine = engine(&other);
        let groups = engine.captures_len().min(10);
        let rewrite: String = (0..groups).map(|group| format!(r"<\{group}>")).collect();
        let rewriter = Rewriter::new(&Substitution::new(&re2, &rewrite).unwrap(), &Arc::new(RegexCaches::new()));
        for value in values(&text.repeat(3), &edits) {
            let expected = global_replace(&engine, &value, |captures| {
                let group = |group: usize| captures.get_group(group).map_or(&b""[..], |span| &value[span.range()]);
                (0..groups).flat_map(|index| [b"<", group(index), b">"].concat()).collect()
            });
            let found = rewriter.rewrite(&value);
            prop_assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected),
                "{:?} on {:?}", re2, String::from_utf8_lossy(&value)
            );
        }
    }
}

/// All texts of these characters up to this length.
fn texts(characters: &str, length: u32) -> Vec<String> {
    let longer = |shorter: &Vec<String>| -> Vec<String> {
        shorter.iter().flat_map(|text| characters.chars().map(move |c| format!("{text}{c}"))).collect()
    };
    std::iter::successors(Some(vec![String::new()]), |shorter| Some(longer(shorter)))
        .take(1 + length as usize)
        .flatten()
        .collect()
}

#[test]
fn every_short_pattern_matches_and_rewrites_as_the_engine_does() {
    let values = texts("ab\n", 4);
    let mut matches = 0_u32;
    for pattern in texts("ab.|*?+()^$", 4) {
        let Ok(regex) = Regex::new(&pattern) else { continue };
        let caches = Arc::new(RegexCaches::new());
        let set = RegexSet::new(&[&regex], &caches);
        let rewriter = Rewriter::new(&Substitution::new(&pattern, r"<\0>").unwrap(), &caches);
        let (whole, part) = (engine(&format!(r"\A(?:{pattern})\z")), engine(&pattern));
        for value in &values {
            let expected = whole.is_match(value);
            assert_eq!(set.is_match(value.as_bytes()), expected, "{pattern:?} on {value:?}");
            matches += u32::from(expected);
            let expand =
                |captures: &Captures| [b"<", &value.as_bytes()[captures.get_match().unwrap().range()], b">"].concat();
            let expected = String::from_utf8(global_replace(&part, value.as_bytes(), expand)).unwrap();
            assert_eq!(
                String::from_utf8(rewriter.rewrite(value.as_bytes())).unwrap(),
                expected,
                "{pattern:?} on {value:?}"
            );
        }
    }
    assert!(matches > 10_000, "{matches} matches");
}

#[test]
fn texts_that_exceed_the_cache_are_rewritten_as_the_engine_does() {
    let caches = Arc::new(RegexCaches::new());
    for (name, pattern) in [
        ("one group", "(a.{90}c)|b"),
        ("more groups than a step stores", "((((((a)))))).{90}(c)|b"),
        ("assertions", r"\ba.{90}c\b|^b|b"),
    ] {
        // Every position has a different set, because the rest of the repetition differs.
        let mut state = 1_u32;
        let mut letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"aaabbbbbbaabbbabac"[(state >> 16) as usize % 18]
        };
        let text: Vec<u8> = (0..5_000).map(&mut letter).collect();
        let engine = engine(&pattern.replace(r"\b", r"(?-u:\b)"));
        let expand = |captures: &Captures| {
            let group = |group: usize| captures.get_group(group).map_or(&b""[..], |span| &text[span.range()]);
            [b"<", group(0), b"|", group(1), b">"].concat()
        };
        let expected = global_replace(&engine, &text, expand);
        assert!(expected.len() > text.len(), "{name}: some match");
        let rewrite = if engine.captures_len() > 1 { r"<\0|\1>" } else { r"<\0|>" };
        let rewriter = Rewriter::new(&Substitution::new(pattern, rewrite).unwrap(), &caches);
        for round in 0..2 {
            assert!(rewriter.rewrite(&text) == expected, "{name}, round {round}");
        }
    }
}
