//! `frozen`, pushed under load.

use e2e::{
    canary::{Canary, Delivery, UPSTREAMS},
    client::{Protocol, Request},
    load::Load,
};
use serde_json::json;

use super::sticky;
use crate::Subject;

const CONNECTIONS: u64 = 3;
/// More than is sent. It limits a test that hangs.
const MOST: u64 = 500_000;
const ENOUGH: u64 = 200;

pub(crate) async fn sends_all_to_the_default_at_no_cost(subject: &Subject) {
    let shares = [("v1", 10), ("v2", 60), ("v3", 30)];
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &sticky(&shares, json!({})), &UPSTREAMS).await;
    let _log = canary.envoy.show_log_on_panic();
    let get = Request::new("reviews", "/");
    let loads = [Protocol::Http1, Protocol::Http2]
        .map(|protocol| Load::start(canary.address, protocol, &get, CONNECTIONS, MOST));
    for load in &loads {
        let all_serve =
            |outcome: &e2e::load::Outcome| ["v1", "v2", "v3"].iter().all(|version| outcome.served(version) > 10);
        load.until("answers of every version", all_serve).await;
    }
    canary.take(&sticky(&shares, json!({"frozen": true}))).await;
    for load in loads {
        // Another version may still answer requests in flight.
        load.go_on_for(2 * CONNECTIONS).await;
        let before = load.so_far();
        load.go_on_for(ENOUGH).await;
        let outcome = load.stop().await;
        assert_eq!(outcome.failures, [""; 0]);
        for version in ["v2", "v3", "native"] {
            assert_eq!(outcome.served(version), before.served(version), "{version} while all is frozen");
        }
        assert!(outcome.served("v1") >= before.served("v1") + ENOUGH);
    }
}
