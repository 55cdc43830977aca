//! The examples: their configurations, and what their tables of requests promise.

use std::path::Path;

use e2e::{
    canary::{Canary, Delivery, NATIVE},
    client::Get,
    examples::{self, read_yaml},
};
use serde_json::{Map, Value};

use crate::{
    Subject,
    steering::{PROTOCOLS, delivered},
    weights::assert_shares,
};

pub(crate) async fn bookinfo_answers_as_its_tables_say(subject: &Subject) {
    for step in examples::folders(&examples::root().join("bookinfo")) {
        check(subject, &step).await;
    }
}

async fn check(subject: &Subject, step: &Path) {
    let configuration = read_yaml(&step.join("config.yaml"));
    let upstreams = upstreams(&configuration);
    let names: Vec<_> = upstreams.iter().map(String::as_str).chain([NATIVE]).collect();
    let rows = read_yaml(&step.join("requests.yaml"));
    // A draw cannot be pinned in a running proxy; the row with the shares is about all of them.
    let rows: Vec<_> = list(&rows).iter().filter(|row| row.get("draws").is_none()).collect();
    assert!(!rows.is_empty(), "no request in {}", step.display());

    // The caller of a row is the proxy that the filter runs in, so each caller has a proxy of its own.
    let mut callers: Vec<Value> = Vec::new();
    for row in &rows {
        let caller = row.get("source").cloned().unwrap_or_default();
        if !callers.contains(&caller) {
            callers.push(caller);
        }
    }
    for caller in callers {
        let document = seen_by(&configuration, &caller);
        let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &names).await;
        for row in rows.iter().filter(|row| row.get("source").cloned().unwrap_or_default() == caller) {
            check_row(&canary, step, row).await;
        }
    }
}

async fn check_row(canary: &Canary, step: &Path, row: &Value) {
    let mut get = Get::new(text(&row["authority"]), text(&row["path"]));
    for header in row.get("headers").map(list).unwrap_or_default() {
        get = get.header(text(&header[0]), text(&header[1]));
    }
    let expected = &row["expect"];
    let name = text(&row["name"]);
    let step = step.file_name().unwrap_or_default().to_string_lossy();
    for protocol in PROTOCOLS {
        let id = format!("{step} {protocol:?} {name}");
        if expected["untouched"] == true {
            delivered(canary, protocol, get.clone(), &id, NATIVE).await;
        } else if let Some(version) = expected.get("version") {
            let upstream = format!("{}/{}", text(&expected["service"]), text(version));
            delivered(canary, protocol, get.clone(), &id, &upstream).await;
        } else {
            let weights = expected["shares"].as_object().expect("untouched, version or shares");
            let shares = shares(text(&expected["service"]), weights);
            let shares: Vec<_> = shares.iter().map(|(upstream, share)| (upstream.as_str(), *share)).collect();
            assert_shares(canary, protocol, &get, &shares).await;
        }
    }
}

fn shares(service: &str, weights: &Map<String, Value>) -> Vec<(String, f64)> {
    let weight = |value: &Value| value.as_f64().expect("a weight");
    let sum: f64 = weights.values().map(weight).sum();
    weights.iter().map(|(version, value)| (format!("{service}/{version}"), weight(value) / sum)).collect()
}

/// `service/version` of every subset.
fn upstreams(configuration: &Value) -> Vec<String> {
    let rules = list(&configuration["destinationRules"]).iter().map(|rule| &rule["spec"]);
    rules
        .flat_map(|rule| {
            let subsets = list(&rule["subsets"]).iter();
            subsets.map(|subset| format!("{}/{}", text(&rule["host"]), text(&subset["name"])))
        })
        .collect()
}

/// The configuration in the proxy of a caller.
fn seen_by(configuration: &Value, caller: &Value) -> Value {
    let mut document = configuration.clone();
    for (key, value) in caller.as_object().into_iter().flatten() {
        document["proxy"][key] = value.clone();
    }
    document
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}
