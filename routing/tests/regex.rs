//! Patterns judge values as the engine does by itself.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

use canary_routing::regex::Regex;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A pattern that RE2 and `regex-lite` read alike, and a text that it probably matches.
type Sample = (String, String);

fn engine(pattern: &str) -> regex_lite::Regex {
    regex_lite::Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap()
}

fn leaf() -> impl Strategy<Value = Sample> {
    let rows = [
        ("a", "a"),
        ("b", "b"),
        ("/", "/"),
        (";", ";"),
        ("user=", "user="),
        ("ü", "ü"),
        (".", "a"),
        (".*", "ab"),
        (".*?", ""),
        ("(?s:.)", "\n"),
        ("(?i:a)", "A"),
        ("[a-c]", "c"),
        ("[^a]", "b"),
        ("[^a-z]+", "A7"),
        (r"\d", "7"),
        (r"\D", "ü"),
        (r"\w+", "a7"),
        (r"\.", "."),
        (r"\n", "\n"),
        ("^", ""),
        ("$", ""),
        (r"\A", ""),
        (r"\z", ""),
        ("(?m:^)", ""),
        ("(?m:$)", ""),
        (r"(?:\b)", ""),
        (r"(?:\B)", ""),
        ("()", ""),
    ];
    let own = |(pattern, text): (&str, &str)| (pattern.to_owned(), text.to_owned());
    select(rows.to_vec()).prop_map(own)
}

/// Patterns of every shape that the syntax allows, a few levels deep.
fn patterns() -> impl Strategy<Value = Sample> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let inner = inner.boxed();
        let sequence = prop::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.into_iter().unzip());
        let alternatives = (prop::collection::vec(inner.clone(), 1..4), any::<Index>()).prop_map(|(parts, taken)| {
            let text = taken.get(&parts).1.clone();
            let patterns: Vec<_> = parts.into_iter().map(|(pattern, _)| pattern).collect();
            (format!("({})", patterns.join("|")), text)
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
            ("{25}", 25..26),
        ];
        let repetition = (inner, select(operators.to_vec()), any::<Index>()).prop_map(
            |((pattern, text), (operator, times), taken)| {
                let times = times.start + taken.index(times.len());
                (format!("(?:{pattern}){operator}"), text.repeat(times))
            },
        );
        prop_oneof![2 => sequence, 1 => alternatives, 2 => repetition]
    })
}

/// A character taken out, or another one put in, somewhere.
fn edited(text: &str, (place, insert): &(Index, Option<char>)) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let place = place.index(characters.len() + 1);
    match insert {
        Some(c) => characters.insert(place, *c),
        None => drop(characters.drain(place..).next()),
    }
    characters.into_iter().collect()
}

fn edit() -> impl Strategy<Value = (Index, Option<char>)> {
    let characters = "abcA7/;. \nü".chars().map(Some).chain([None, None, None]).collect::<Vec<_>>();
    (any::<Index>(), select(characters))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: ProptestConfig::default().cases.saturating_mul(16), ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_judges_as_the_engine((pattern, text) in patterns(), edits in prop::collection::vec(edit(), 8)) {
        prop_assume!(pattern.len() <= 1024);
        let (regex, engine) = (Regex::new(&pattern).unwrap(), engine(&pattern));
        let far = edits.iter().fold(text.clone(), |text, edit| edited(&text, edit));
        let near = edits.iter().map(|edit| edited(&text, edit));
        for value in near.chain([text.clone(), far]) {
            let expected = engine.is_match(&value);
            prop_assert_eq!(regex.is_match(value.as_bytes()), expected, "{:?} on {:?}", pattern, value);
        }
    }
}

/// All texts of these characters up to a length.
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
fn every_short_pattern_judges_as_the_engine() {
    let values = texts("ab\n", 4);
    let mut matches = 0_u32;
    for pattern in texts("ab.|*?+()^$", 4) {
        let Ok(regex) = Regex::new(&pattern) else { continue };
        let engine = engine(&pattern);
        for value in &values {
            let expected = engine.is_match(value);
            assert_eq!(regex.is_match(value.as_bytes()), expected, "{pattern:?} on {value:?}");
            matches += u32::from(expected);
        }
    }
    assert!(matches > 10_000, "{matches} matches");
}
