//! The examples, through the decision alone: each configuration is good, and every row of its table is answered as it
//! expects.

use std::{fs, path::Path};

use canary_routing::{Config, RouteTable, explain::Question};
use e2e::examples::{folders, read_yaml, root};
use serde_json::{Map, Value};

#[test]
fn every_row_is_answered_as_it_expects() {
    for step in folders(&root()).iter().flat_map(|collection| folders(collection)) {
        let name = step.strip_prefix(root()).expect("below the root").display().to_string();
        check(&step, &name);
    }
}

fn check(step: &Path, name: &str) {
    let (config, warnings) =
        Config::read(&read_yaml(&step.join("config.yaml"))).unwrap_or_else(|errors| panic!("{name}:\n{errors}"));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected_warnings(step), "{name}: warnings (warnings.txt lists the intended ones)");

    let questions = Question::read_all(&read_yaml(&step.join("requests.yaml")))
        .unwrap_or_else(|errors| panic!("{name}/requests.yaml:\n{errors}"));
    assert!(!questions.is_empty(), "{name}: no request");
    let mut rows: Vec<&str> = Vec::new();
    for question in &questions {
        let row = question.name.as_deref().unwrap_or_else(|| panic!("{name}: a row without a name: {question:?}"));
        assert!(!rows.contains(&row), "{name}: two rows are named {row:?}");
        rows.push(row);
        let differences = differences(&config, question);
        assert!(differences.is_empty(), "{name}: {row}:\n{}", differences.join("\n"));
    }
}

/// One line each, in the file `warnings.txt`; without the file, none.
fn expected_warnings(step: &Path) -> Vec<String> {
    let file = step.join("warnings.txt");
    if !file.exists() {
        return Vec::new();
    }
    let text = fs::read_to_string(&file).expect("warnings.txt");
    text.lines().map(str::to_owned).collect()
}

/// Where the answer is not what the row expects.
fn differences(config: &Config, question: &Question) -> Vec<String> {
    let Some(expected) = question.expect.as_ref().and_then(Value::as_object).filter(|keys| !keys.is_empty()) else {
        return vec!["the row expects nothing".to_owned()];
    };
    let table = RouteTable::compile(&question.config(config));
    let answer = question.answer(&table);
    let differences = expected.iter().filter_map(|(key, value)| {
        let found = match key.as_str() {
            "shares" => return share_difference(value, &shares(&table, question)),
            "service" => Some(answer["host"].as_str().and_then(|host| host.split('.').next()).into()),
            "version" => Some(answer["subset"].clone()),
            "untouched" => Some((answer["outcome"] == "untouched").into()),
            "status" => Some(answer["localReply"]["status"].clone()),
            key => answer.get(key).cloned(),
        };
        match found {
            None => Some(format!("{key}: no answer has this key")),
            Some(found) => (found != *value).then(|| format!("{key}: expected {value}, found {found}")),
        }
    });
    differences.collect()
}

/// The weight of each version.
fn shares(table: &RouteTable, question: &Question) -> Map<String, Value> {
    let mut shares = Map::new();
    for chance in table.chances(&question.request) {
        let subset = question.describe(&chance.decision)["subset"].as_str().unwrap_or_default().to_owned();
        let share = shares.entry(subset).or_insert(0.into());
        *share = (share.as_u64().unwrap_or_default() + chance.weight).into();
    }
    shares
}

/// Weights are compared as shares of their sums.
fn share_difference(expected: &Value, found: &Map<String, Value>) -> Option<String> {
    let empty = Map::new();
    let same = normalised(expected.as_object().unwrap_or(&empty)) == normalised(found);
    (!same).then(|| format!("shares: expected {expected}, found {}", Value::from(found.clone())))
}

/// In lowest terms.
fn normalised(weights: &Map<String, Value>) -> Option<Vec<(&str, u64)>> {
    let greatest = weights.values().try_fold(0, |divisor, weight| Some(common_divisor(divisor, weight.as_u64()?)))?;
    let weights = weights.iter().map(|(name, weight)| Some((name.as_str(), weight.as_u64()?.checked_div(greatest)?)));
    weights.collect()
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[test]
fn a_wrong_expectation_is_found() {
    let document = serde_json::json!({
        "virtualServices": [{"hosts": ["reviews"], "http": [{"route": [
            {"destination": {"host": "reviews", "subset": "v1"}, "weight": 9},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 1},
        ]}]}],
    });
    let (config, _) = Config::read(&document).expect("a good configuration");
    for (row, authority, expected, difference) in [
        ("right", "reviews", r#"{"service": "reviews", "version": "v1", "path": "/", "untouched": false}"#, None),
        ("right shares", "reviews", r#"{"shares": {"v1": 90, "v2": 10}}"#, None),
        ("wrong service", "reviews", r#"{"service": "ratings"}"#, Some("service")),
        ("wrong version", "reviews", r#"{"version": "v2"}"#, Some("version")),
        ("wrong route", "reviews", r#"{"route": "jason"}"#, Some("route")),
        ("wrong share", "reviews", r#"{"shares": {"v1": 80, "v2": 10}}"#, Some("shares")),
        ("a version too many", "reviews", r#"{"shares": {"v1": 90, "v2": 10, "v3": 0}}"#, Some("shares")),
        ("shares that are no weights", "reviews", r#"{"shares": "v1"}"#, Some("shares")),
        ("not untouched", "reviews", r#"{"untouched": true}"#, Some("untouched")),
        ("untouched", "ratings", r#"{"untouched": true}"#, None),
        ("no version where nothing is decided", "ratings", r#"{"version": "v1"}"#, Some("version")),
        ("no local reply", "reviews", r#"{"status": 404}"#, Some("status")),
        ("a key that no answer has", "reviews", r#"{"pth": "/"}"#, Some("pth")),
        ("wrong value of another key", "reviews", r#"{"path": "/other"}"#, Some("path")),
        ("nothing", "reviews", "{}", Some("the row")),
    ] {
        let expected: Value = serde_json::from_str(expected).expect(row);
        let questions = serde_json::json!([{"name": row, "authority": authority, "path": "/", "expect": expected}]);
        let questions = Question::read_all(&questions).expect(row);
        let found: Vec<_> = questions.iter().flat_map(|question| differences(&config, question)).collect();
        match difference {
            None => assert_eq!(found, [""; 0], "{row}"),
            Some(start) => assert!(found.len() == 1 && found[0].starts_with(start), "{row}: {found:?}"),
        }
    }
}
