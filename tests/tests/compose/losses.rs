//! Containers that go and come while requests are sent.

use e2e::{client::Request, wait};
use serde_json::{Value, json};

use crate::{
    edits::everybody_gets,
    project::Project,
    traffic::{Counts, Traffic, served_by},
};

/// Requests between two events.
const STEP: u64 = 200;
const CLIENTS: usize = 4;

/// Jason's reviews are from v2, all others from v1. Without ejection only Envoy's failover helps if v2 is gone.
pub(crate) fn jasons_get_v2(ejects: bool) -> Value {
    let mut document = everybody_gets("v1");
    let services = document["virtualServices"].as_array_mut().expect("VirtualServices");
    let reviews = services.iter_mut().find(|service| service["metadata"]["name"] == "reviews").expect("the reviews");
    let jason = json!({
        "match": [{"headers": {"end-user": {"exact": "jason"}}}],
        "route": [{"destination": {"host": "reviews", "subset": "v2"}}],
    });
    reviews["spec"]["http"].as_array_mut().expect("rules").insert(0, jason);
    if !ejects {
        document["policies"][0].as_object_mut().expect("a policy").remove("failureAccrual");
    }
    document
}

fn everybody() -> Request {
    Request::new("reviews:9080", "/reviews/0")
}

fn jason() -> Request {
    everybody().header("end-user", "jason")
}

fn lost(counts: &Counts) -> u64 {
    counts.iter().filter(|(outcome, _)| !outcome.starts_with("reviews/v")).map(|(_, count)| count).sum()
}

/// The outcomes of Jason's and of other requests while this docker command removes v2 and another one restarts it.
async fn v2_goes_by(project: &Project, verb: &str, ejects: bool) -> [Counts; 2] {
    project.take(&jasons_get_v2(ejects)).await;
    wait::until("v2", async || (served_by(&project.send(&jason()).await) == "reviews/v2").then_some(())).await;
    let [canary, others] = [jason(), everybody()].map(|request| Traffic::start(project.listener, &request, CLIENTS));
    canary.more(STEP).await;
    project.docker(verb, "reviews-v2");
    canary.again("reviews/v1").await;
    canary.more(STEP).await;
    project.docker("start", "reviews-v2");
    canary.again("reviews/v2").await;
    canary.more(STEP).await;
    [canary.stop().await, others.stop().await]
}

pub(crate) async fn a_canary_that_stops_costs_no_request(project: &Project) {
    let [canary, others] = v2_goes_by(project, "stop", false).await;
    assert_eq!((lost(&canary), lost(&others)), (0, 0), "{canary:?} {others:?}");
    assert!(canary.contains_key("reviews/v1"), "v1 has served: {canary:?}");
    assert_eq!(others.keys().collect::<Vec<_>>(), ["reviews/v1"], "{others:?}");
}

/// Requests in flight to it are retried, and later ones are not sent to it.
pub(crate) async fn a_canary_that_dies_costs_no_get(project: &Project) {
    for ejects in [true, false] {
        let [canary, others] = v2_goes_by(project, "kill", ejects).await;
        println!("killed, with ejections: {ejects}: {canary:?}; the others: {others:?}");
        assert_eq!((lost(&canary), lost(&others)), (0, 0), "{canary:?} {others:?}");
        assert!(canary.contains_key("reviews/v1"), "v1 has served: {canary:?}");
        assert_eq!(others.keys().collect::<Vec<_>>(), ["reviews/v1"], "{others:?}");
    }
}

/// The control: no version replaces v2.
pub(crate) async fn a_canary_that_dies_costs_gets_without_an_order(project: &Project) {
    let mut document = jasons_get_v2(false);
    document["policies"].as_array_mut().expect("policies").remove(0);
    project.take(&document).await;
    wait::until("v2", async || (served_by(&project.send(&jason()).await) == "reviews/v2").then_some(())).await;
    let canary = Traffic::start(project.listener, &jason(), CLIENTS);
    canary.more(STEP).await;
    project.docker("kill", "reviews-v2");
    canary.more(STEP).await;
    project.docker("start", "reviews-v2");
    canary.again("reviews/v2").await;
    let counts = canary.stop().await;
    println!("killed, without an order: {counts:?}");
    assert!(lost(&counts) > 0, "the control loses nothing: {counts:?}");
}

pub(crate) async fn what_brings_the_rules_may_go(project: &Project) {
    project.take(&jasons_get_v2(false)).await;
    let traffic = Traffic::start(project.listener, &everybody(), CLIENTS);
    traffic.more(STEP).await;
    project.docker("kill", "rules");
    traffic.more(STEP).await;
    let before = project.log("rules").len();
    project.docker("start", "rules");
    project.word_of_rules(before).await;
    project.take(&everybody_gets("v3")).await;
    traffic.again("reviews/v3").await;
    let counts = traffic.stop().await;
    assert_eq!(lost(&counts), 0, "{counts:?}");
}

pub(crate) async fn the_proxy_comes_back_as_it_was(project: &Project) {
    project.take(&everybody_gets("v3")).await;
    project.docker("kill", "front");
    project.docker("start", "front");
    let expected = "reviews/v3";
    wait::until(expected, async || {
        let traffic = Traffic::up_to(project.listener, &everybody(), 1, 1).finish().await;
        traffic.contains_key(expected).then_some(())
    })
    .await;
}
