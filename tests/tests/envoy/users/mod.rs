//! Sticky users, trusted clients, and candidate rules.

pub(crate) mod candidate;
pub(crate) mod cookies;
pub(crate) mod explain;
pub(crate) mod frozen;
pub(crate) mod keys;
pub(crate) mod overrides;
pub(crate) mod ramp;

use e2e::{
    canary::Canary,
    client::{Connection, Protocol, Request},
};
use serde_json::{Value, json};

use crate::documents::{document, split};

/// The header with the sticky key.
const USER: &str = "x-user-id";

/// `reviews` by these weights for users; v1 is the default.
fn sticky(shares: &[(&str, u32)], more: Value) -> Value {
    let mut policy = json!({
        "hosts": ["reviews"], "fallback": ["v3", "v2", "v1"],
        "sticky": {"keys": [{"header": USER}, {"cookie": "canary-id"}], "salt": "reviews-2026-11",
                   "issueCookie": {"name": "canary-id", "maxAge": "30d"}},
    });
    let fields = policy.as_object_mut().expect("a policy is an object");
    fields.extend(more.as_object().expect("more fields").clone());
    let mut document = document(&[("reviews", json!([{"route": split(shares)}]))]);
    document["policies"] = json!([policy]);
    document
}

/// The upstreams that serve these users, one after the other on one connection.
async fn served_by(canary: &Canary, users: &[String]) -> Vec<String> {
    let mut connection = Connection::open(canary.address, Protocol::Http2).await.expect("a connection");
    let mut served_by = Vec::with_capacity(users.len());
    for user in users {
        let answer = connection.send(&Request::new("reviews", "/").header(USER, user)).await.expect("an answer");
        assert_eq!(answer.status, 200, "user {user}");
        served_by.push(answer.served_by);
    }
    served_by
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|user| format!("user-{user}")).collect()
}
