//! The examples, by the decision alone: each configuration is good, every row of its table is answered as it expects, and
//! the lists of examples are complete.

use std::{collections::BTreeMap, fs};

use canary_config::Config;
use canary_routing::{AllHealthy, Outcome, Request, RouteTable, explain::Question};
use e2e::example::{self, Example};
use serde_json::{Map, Value, json};

#[test]
fn every_row_is_answered_as_it_expects() {
    for example in examples() {
        let config = example.config();
        let mut names: Vec<&str> = Vec::new();
        for row in &example.rows {
            let what = format!("{}: {}", example.name, row.name());
            assert!(!names.contains(&row.name()), "{what}: two rows of this name");
            names.push(row.name());
            let differences = differences(&config, &row.question, &row.expect);
            assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
        }
    }
}

#[test]
fn no_configuration_has_other_warnings_than_its_list_says() {
    for example in examples() {
        let (_, warnings) = Config::read(&example.document).expect("a good configuration");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let listed = fs::read_to_string(example::path(&example.name).join("warnings.txt")).unwrap_or_default();
        let listed: Vec<_> = listed.lines().collect();
        assert_eq!(warnings, listed, "{}: warnings.txt lists the intended ones", example.name);
    }
}

#[test]
fn every_example_is_listed_by_the_readme_of_its_group() {
    for example in examples() {
        let (group, step) = example.name.split_once('/').expect("a group and a step");
        let readme = fs::read_to_string(example::path(group).join("README.md")).expect("a README of the group");
        assert!(readme.contains(&format!("[{step}]({step}/config.yaml)")), "{group}/README.md does not list {step}");
    }
}

fn examples() -> Vec<Example> {
    example::groups().iter().flat_map(|group| example::of_group(group)).collect()
}

/// Where the answer is not what is expected, each beginning with its key.
fn differences(config: &Config, question: &Question, expect: &Map<String, Value>) -> Vec<String> {
    if expect.is_empty() {
        return vec!["the row expects nothing".to_owned()];
    }
    let table = RouteTable::compile(&question.config(config));
    let answer = question.answer(&table);
    let differences = expect.iter().filter_map(|(key, expected)| {
        let found = match key.as_str() {
            "service" => json!(services(&table, question)),
            "version" => answer["subset"].clone(),
            "shares" => json!(shares(&table, question)),
            "untouched" => json!(answer["outcome"] == "untouched"),
            // What a status of an upstream leads to is for real requests to show.
            "status" if answer["outcome"] == "forward" => return None,
            "status" => answer["localReply"]["status"].clone(),
            key => match answer.get(key) {
                Some(found) => found.clone(),
                None => return Some(format!("{key}: no answer has this key")),
            },
        };
        let expected = match key.as_str() {
            "service" => json!([expected]),
            "shares" => json!(normalised(expected)),
            _ => expected.clone(),
        };
        (found != expected).then(|| format!("{key}: expected {expected}, found {found}"))
    });
    differences.collect()
}

/// The first labels of the hosts that the request may be forwarded to.
fn services(table: &RouteTable, question: &Question) -> Vec<String> {
    let mut services: Vec<String> = Vec::new();
    for possible in question.request.possible_decisions(table, &AllHealthy) {
        if let Outcome::Forward(forward) = possible.decision.outcome {
            let service = forward.destination.host.split('.').next().unwrap_or_default().to_owned();
            if !services.contains(&service) {
                services.push(service);
            }
        }
    }
    services
}

/// Shares in per mille, by version or status.
fn shares(table: &RouteTable, question: &Question) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for possible in question.request.possible_decisions(table, &AllHealthy) {
        let key = match possible.decision.outcome {
            Outcome::Forward(forward) => forward.destination.subset.as_deref().unwrap_or_default().to_owned(),
            Outcome::LocalReply(reply) => reply.status.to_string(),
            Outcome::Untouched => "untouched".to_owned(),
        };
        *shares.entry(key).or_default() += (possible.share * 1000.0).round() as u64;
    }
    shares
}

/// Weights in per mille; none for what is no object of weights.
fn normalised(weights: &Value) -> BTreeMap<String, u64> {
    let weights = weights.as_object().cloned().unwrap_or_default();
    let sum: u64 = weights.values().filter_map(Value::as_u64).sum();
    let share = |weight: &Value| Some(weight.as_u64()? * 1000 / sum).filter(|share| *share > 0);
    weights.iter().filter_map(|(key, weight)| Some((key.clone(), share(weight)?))).collect()
}

#[test]
fn a_wrong_expectation_is_found() {
    let document = json!({"virtualServices": [{"hosts": ["reviews"], "http": [
        {"name": "closed", "match": [{"uri": {"prefix": "/closed"}}], "directResponse": {"status": 503}},
        {"name": "split", "route": [
            {"destination": {"host": "reviews", "subset": "v1"}, "weight": 9},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 1},
        ]},
    ]}]});
    let (config, _) = Config::read(&document).expect("a good configuration");
    for (row, url, expect, difference) in [
        (
            "right",
            "http://reviews/",
            json!({"service": "reviews", "version": "v1", "path": "/", "untouched": false}),
            None,
        ),
        ("right shares", "http://reviews/", json!({"shares": {"v1": 90, "v2": 10, "v3": 0}}), None),
        ("right status", "http://reviews/closed", json!({"status": 503}), None),
        ("wrong service", "http://reviews/", json!({"service": "ratings"}), Some("service")),
        ("wrong version", "http://reviews/", json!({"version": "v2"}), Some("version")),
        ("wrong route", "http://reviews/", json!({"route": "jason"}), Some("route")),
        ("wrong share", "http://reviews/", json!({"shares": {"v1": 80, "v2": 20}}), Some("shares")),
        ("shares that are no weights", "http://reviews/", json!({"shares": "v1"}), Some("shares")),
        ("shares of a status", "http://reviews/closed", json!({"shares": {"503": 1}}), None),
        ("wrong status", "http://reviews/closed", json!({"status": 404}), Some("status")),
        ("not untouched", "http://reviews/", json!({"untouched": true}), Some("untouched")),
        ("untouched", "http://ratings/", json!({"untouched": true, "version": null}), None),
        ("a service where nothing is decided", "http://ratings/", json!({"service": "ratings"}), Some("service")),
        ("a key that no answer has", "http://reviews/", json!({"pth": "/"}), Some("pth")),
        ("wrong value of another key", "http://reviews/", json!({"path": "/other"}), Some("path")),
        ("nothing", "http://reviews/", json!({}), Some("the row")),
    ] {
        let question = Question::new(Request::get(url));
        let found = differences(&config, &question, expect.as_object().expect("an object"));
        match difference {
            None => assert_eq!(found, [""; 0], "{row}"),
            Some(start) => assert!(found.len() == 1 && found[0].starts_with(start), "{row}: {found:?}"),
        }
    }
}
