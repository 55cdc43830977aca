//! The rules, edited while everything runs.

use std::fs;

use e2e::{client::Request, wait};
use serde_json::{Value, json};

use crate::{
    project::Project,
    traffic::{Traffic, served_by},
};

/// The shipped rules with these reviews for all users.
pub(crate) fn everybody_gets(subset: &str) -> Value {
    let mut document = Project::shipped_rules();
    let services = document["virtualServices"].as_array_mut().expect("VirtualServices");
    let reviews = services.iter_mut().find(|service| service["metadata"]["name"] == "reviews").expect("the reviews");
    reviews["spec"]["http"] = json!([{"route": [{"destination": {"host": "reviews", "subset": subset}}]}]);
    document
}

async fn is_served_by(project: &Project, expected: &str) {
    let reviews = Request::new("reviews:9080", "/reviews/0");
    wait::until(expected, async || (served_by(&project.send(&reviews).await) == expected).then_some(())).await;
}

pub(crate) async fn of_every_kind_are_taken(project: &Project) {
    type Edit = fn(&Project, &str);
    let in_place: Edit = |project, text| fs::write(project.rules(), text).expect("write the rules");
    for (name, edit, subset) in
        [("moved onto the file", Project::write_rules as Edit, "v2"), ("in place", in_place, "v3")]
    {
        let before = project.log("rules").len();
        edit(project, &everybody_gets(subset).to_string());
        let said = project.word_of_rules(before).await;
        assert!(!said.contains("stays"), "{name}: {said}");
        is_served_by(project, &format!("reviews/{subset}")).await;
    }
}

pub(crate) async fn that_are_wrong_are_refused(project: &Project) {
    project.take(&everybody_gets("v2")).await;
    let before = project.log("rules").len();
    let mut wrong = everybody_gets("v3");
    wrong["virtualServices"][0]["spec"]["htpp"] = json!([]);
    project.write_rules(&wrong.to_string());
    let said = project.word_of_rules(before).await;
    assert!(said.contains("stays in force"), "{said}");
    let log = project.log("rules");
    assert!(log.iter().any(|line| line.contains("/virtualServices/0/spec/htpp: unknown field")), "{log:?}");
    is_served_by(project, "reviews/v2").await;
}

pub(crate) async fn cost_no_request(project: &Project) {
    project.take(&everybody_gets("v1")).await;
    let traffic = Traffic::start(project.listener, &Request::new("reviews:9080", "/reviews/0"), 4);
    for subset in ["v2", "v3", "v1"] {
        project.take(&everybody_gets(subset)).await;
        traffic.again(&format!("reviews/{subset}")).await;
    }
    let counts = traffic.stop().await;
    assert!(counts.keys().all(|outcome| outcome.starts_with("reviews/v")), "{counts:?}");
}
