//! The guard that `canaryctl run` puts in where a policy has a fallback order.

use std::fs;

use serde_json::Value;

use crate::{JASON, desk::Desk, reviews};

const FALLBACK: &str = "policies: [{hosts: [reviews], fallback: [v2, v1]}]\n";

/// The names of the HTTP filters of the bootstrap that a running `canaryctl run` has written.
fn http_filters(desk: &Desk) -> Vec<String> {
    let folder = desk.left_over().into_iter().find(|path| path.is_dir()).unwrap();
    let bootstrap = fs::read_to_string(folder.join("bootstrap.json")).unwrap();
    let bootstrap: Value = serde_json::from_str(&bootstrap).unwrap();
    let chain = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = bootstrap.pointer(chain).and_then(Value::as_array).unwrap();
    filters.iter().map(|filter| filter["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn serves_the_first_request_for_a_version_that_is_not_there() {
    let (filter, router) = ("canary", "envoy.filters.http.router");
    let guarded = vec![filter, "envoy.filters.http.rbac", "canary-guard", router];
    let after_faults = vec![filter, "envoy.filters.http.fault", "canary-guard", router];
    let faults = "faults: {delay: faultFilter}\n";
    for (name, more, flags, filters, status) in [
        ("a fallback order", FALLBACK.to_owned(), vec![], guarded, 200),
        ("--no-guard", FALLBACK.to_owned(), vec!["--no-guard"], vec![filter, router], 503),
        ("no fallback order", String::new(), vec![], vec![filter, router], 503),
        ("the fault filter refreshes the route", FALLBACK.to_owned() + faults, vec![], after_faults, 200),
    ] {
        let flags = [flags.as_slice(), &["--upstream", "reviews/v2=none"]].concat();
        let desk = Desk::start(&(reviews("v2") + &more), &flags);
        assert_eq!(http_filters(&desk), filters, "{name}");
        let answer = desk.connect().get("reviews", "/", JASON);
        assert_eq!(answer.status, status, "{name}");
        if status == 200 {
            assert_eq!(answer.who(), "reviews v1", "{name}");
            desk.says("GET reviews/ → v1  outbound|9080|v1|reviews.default.svc.cluster.local 200");
        }
    }
}

#[test]
fn is_part_of_the_bootstrap() {
    let desk = Desk::start(&reviews("v2"), &[]);
    fs::write(desk.file(), reviews("v2") + FALLBACK).unwrap();
    desk.complains("/policies: it is part of the bootstrap: restart run");
}
