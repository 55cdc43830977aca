//! Browsers that get a cookie.

use std::collections::BTreeSet;

use e2e::{
    canary::{Canary, Delivery, UPSTREAMS},
    client::{Protocol, Request, send},
};
use serde_json::json;

use super::sticky;
use crate::{Subject, steering::PROTOCOLS};

const BROWSERS: usize = 20;

pub(crate) async fn are_issued_once_and_honoured_after(subject: &Subject) {
    let document = sticky(&[("v1", 50), ("v2", 50)], json!({}));
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    let _log = canary.envoy.show_log_on_panic();
    let mut seen = BTreeSet::new();
    for browser in 0..BROWSERS {
        let protocol = PROTOCOLS[browser % PROTOCOLS.len()];
        let first = send(canary.address, protocol, &Request::new("reviews", "/")).await;
        let cookies = first.values("set-cookie");
        assert_eq!(cookies.len(), 1, "browser {browser}: {cookies:?}");
        let (pair, attributes) = cookies[0].split_once("; ").expect("attributes");
        assert_eq!(attributes, "Path=/; Max-Age=2592000; SameSite=Lax; HttpOnly", "browser {browser}");
        for request in 1..5 {
            let get = Request::new("reviews", "/").header("cookie", format!("theme=dark; {pair}; a=b"));
            let later = send(canary.address, protocol, &get).await;
            assert_eq!(later.served_by, first.served_by, "browser {browser}, request {request}");
            assert_eq!(later.values("set-cookie"), [""; 0], "browser {browser}, request {request}");
        }
        seen.insert(first.served_by);
    }
    assert_eq!(seen, BTreeSet::from(["v1".to_owned(), "v2".to_owned()]), "{BROWSERS} browsers at 50/50");

    // The application's own cookies stay. The cookie still counts after a new configuration with other weights for its version.
    let get = Request::new("reviews", "/").header("x-reply-set-cookie", "session=1");
    let answer = send(canary.address, Protocol::Http1, &get).await;
    let cookies = answer.values("set-cookie");
    assert_eq!((cookies.len(), cookies[0].as_str()), (2, "session=1"), "{cookies:?}");
    let pair = cookies[1].split(';').next().expect("a pair").to_owned();
    let share = if answer.served_by == "v2" { 90 } else { 10 };
    canary.take(&sticky(&[("v1", 100 - share), ("v2", share)], json!({}))).await;
    let later = send(canary.address, Protocol::Http1, &Request::new("reviews", "/").header("cookie", pair)).await;
    assert_eq!(later.served_by, answer.served_by, "a larger share keeps its users");
}
