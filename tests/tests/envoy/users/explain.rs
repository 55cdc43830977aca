//! The explanation for a trusted client: the decision, and the version that answered.

use std::collections::BTreeMap;

use canary_routing::sticky;
use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery},
    client::{Protocol, Request, send},
};
use serde_json::json;

use super::{USER, sticky as document, users};
use crate::{Subject, documents::to};

const USERS: usize = 40;

pub(crate) async fn says_what_happens(subject: &Subject) {
    let mut document = document(&[("v1", 40), ("v2", 20), ("v3", 40)], json!({}));
    let abort = json!({
        "name": "teapot", "match": [{"uri": {"prefix": "/teapot"}}], "route": to("v1"),
        "fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}},
    });
    let rules = document["virtualServices"][0]["spec"]["http"].as_array_mut().expect("rules");
    rules.insert(0, abort);
    document["overrides"] = json!({"from": [{"cidr": "127.0.0.0/8"}]});
    let surroundings = Surroundings::failing_over(subject.failover(), 1);
    // There is no v3.
    let backends = ["v1", "v2", "native"].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &backends).await;
    let _log = canary.envoy.show_log_on_panic();
    let ask = async |get: Request| {
        let answer = send(canary.address, Protocol::Http1, &get.header("x-canary-explain", "1")).await;
        let lines = answer.values("x-canary-explain");
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fields = lines[0].split("; ").filter_map(|field| field.split_once('='));
        let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        (answer, fields)
    };

    let mut moved = 0;
    for user in users(USERS) {
        let (answer, explained) = ask(Request::new("reviews", "/").header(USER, &user)).await;
        let picked = explained["version"].as_str();
        let served = explained.get("served").map_or(picked, String::as_str);
        assert_eq!((answer.status, answer.served_by.as_str()), (200, served), "{user}: {explained:?}");
        moved += usize::from(served != picked);
        assert_eq!(served != picked, picked == "v3", "{user}: {explained:?}");
        assert_eq!(
            explained["bucket"],
            format!("{:016x}", sticky::bucket("reviews-2026-11", user.as_bytes()).to_bits())
        );
        assert_eq!(
            (explained["reason"].as_str(), explained["key"].as_str()),
            ("sticky", "header x-user-id"),
            "{user}: {explained:?}"
        );
        assert!(explained["weights"].contains(&format!("{picked}:")), "{user}: {explained:?}");
    }
    assert!((1..USERS).contains(&moved), "{moved} of {USERS} users were moved from v3");

    let (answer, explained) = ask(Request::new("reviews", "/teapot")).await;
    assert_eq!(
        (answer.status, explained["route"].as_str(), explained["abort"].as_str()),
        (418, "teapot", "418"),
        "{explained:?}"
    );
    let (answer, explained) = ask(Request::new("unknown.example", "/")).await;
    assert_eq!((answer.served_by.as_str(), explained["outcome"].as_str()), ("native", "untouched"), "{explained:?}");
}
