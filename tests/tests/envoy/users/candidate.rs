//! Candidate rules: their predictions are right.

use e2e::canary::{Canary, Delivery, UPSTREAMS};
use serde_json::json;

use super::{served_by, sticky, users};
use crate::Subject;

const USERS: usize = 1_000;
const COUNTERS: &str = "wasmcustom.canary_candidate";

pub(crate) async fn predicts_what_a_later_run_shows(subject: &Subject) {
    let later = sticky(&[("v1", 50), ("v2", 30), ("v3", 20)], json!({}));
    let mut live = sticky(&[("v1", 85), ("v2", 10), ("v3", 5)], json!({}));
    live["candidate"] = json!({"virtualServices": later["virtualServices"], "policies": later["policies"]});
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &live, &UPSTREAMS).await;
    let _log = canary.envoy.show_log_on_panic();
    let users = users(USERS);
    let first = served_by(&canary, &users).await;

    // The counters of workers reach the main thread later. The last one is written last.
    canary.envoy.wait_for_stat(&format!("{COUNTERS}_compared_total"), USERS as u64).await;
    let count = async |name: &str| canary.envoy.stat(&format!("{COUNTERS}_{name}")).await;
    let difference = async |respect: &str| {
        let counter = format!("wasmcustom.type=.={respect};.;canary_candidate_differences_total");
        canary.envoy.stat(&counter).await
    };
    let (differing, versions) = (count("differing_total").await, difference("version").await);
    let others = ["outcome", "local-reply", "faults", "rewrite", "headers", "retries", "mirrors"];
    for respect in others {
        assert_eq!(difference(respect).await, 0, "{respect}");
    }
    let logged =
        canary.envoy.log().lines().filter(|line| line.contains("the candidate differs in version, cluster")).count();
    assert!(logged > 0, "nothing is logged of {differing} differences");

    canary.take(&later).await;
    let second = served_by(&canary, &users).await;
    let moved = first.iter().zip(&second).filter(|(before, after)| before != after).count() as u64;
    assert!(moved > 0, "nobody moves");
    assert_eq!((differing, versions), (moved, moved), "predicted, and seen");
    println!("{USERS} users: {moved} moves predicted and seen, {logged} logged");

    canary.take(&live).await;
    assert_eq!(served_by(&canary, &users).await, first, "a candidate steers nobody");
}
