//! The examples, by the decision alone: every row of every table, and that the lists of examples are complete.

use std::{collections::BTreeMap, fs};

use canary_routing::{Config, Outcome, RouteTable};
use e2e::example::{self, Example, Row};
use serde_json::Value;

#[test]
fn every_row_is_decided_as_its_table_says() {
    for example in examples() {
        let config = example.config();
        for row in &example.rows {
            check(&config, row, &format!("{}: {}", example.name, row.name()));
        }
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

fn check(config: &Config, row: &Row, what: &str) {
    let table = RouteTable::compile(&row.question.config(config));
    let answer = row.question.answer(&table);
    for (key, expected) in &row.expect {
        match key.as_str() {
            "service" => assert_eq!(Some(service_of(&table, row).as_str()), expected.as_str(), "{what}: service"),
            "version" => assert_eq!(answer["subset"], *expected, "{what}: version"),
            "shares" => assert_eq!(shares(&table, row), normalised(expected), "{what}: shares"),
            "untouched" => assert_eq!(answer["outcome"], "untouched", "{what}"),
            // What a status of an upstream leads to is for real requests to show.
            "status" if answer["outcome"] == "forward" => {}
            "status" => assert_eq!(answer["localReply"]["status"], *expected, "{what}: status"),
            key => assert_eq!(answer[key], *expected, "{what}: {key}"),
        }
    }
}

/// The first label of the only host that the request may be forwarded to.
fn service_of(table: &RouteTable, row: &Row) -> String {
    let chances = table.chances(&row.question.request);
    let mut hosts: Vec<_> = chances
        .iter()
        .filter_map(|chance| match &chance.decision.outcome {
            Outcome::Forward(forward) => Some(forward.destination.host.as_str()),
            Outcome::LocalReply(_) | Outcome::Untouched => None,
        })
        .collect();
    hosts.dedup();
    let [host] = hosts[..] else { panic!("{}: forwarded to {hosts:?}", row.name()) };
    host.split('.').next().unwrap_or_default().to_owned()
}

/// Shares in per mille, by version or status.
fn shares(table: &RouteTable, row: &Row) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for chance in table.chances(&row.question.request) {
        let key = match chance.decision.outcome {
            Outcome::Forward(forward) => forward.destination.subset.clone().unwrap_or_default(),
            Outcome::LocalReply(reply) => reply.status.to_string(),
            Outcome::Untouched => "untouched".to_owned(),
        };
        *shares.entry(key).or_default() += (chance.share * 1000.0).round() as u64;
    }
    shares
}

fn normalised(weights: &Value) -> BTreeMap<String, u64> {
    let weights = weights.as_object().expect("shares are an object");
    let weight = |value: &Value| value.as_u64().expect("a weight");
    let sum: u64 = weights.values().map(weight).sum();
    let shares = weights.iter().map(|(key, value)| (key.clone(), weight(value) * 1000 / sum));
    shares.filter(|(_, share)| *share > 0).collect()
}
