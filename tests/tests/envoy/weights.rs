//! Shares, within the exact binomial interval.

use e2e::{
    canary::Canary,
    client::{Protocol, Request},
    load::Load,
    proportion::{ALPHA, agrees},
};

use crate::{Subject, documents};

const REQUESTS: u64 = 4000;
const CONNECTIONS: u64 = 4;

pub(crate) async fn ninety_ten(subject: &Subject) {
    let shares = [("v1", 0.9), ("v2", 0.1), ("v3", 0.0), ("native", 0.0)];
    check(subject, Protocol::Http1, documents::NINETY_TEN, &shares).await;
}

pub(crate) async fn three_versions(subject: &Subject) {
    let shares = [("v1", 0.5), ("v2", 0.3), ("v3", 0.2), ("native", 0.0)];
    check(subject, Protocol::Http2, documents::THREE_VERSIONS, &shares).await;
}

async fn check(subject: &Subject, protocol: Protocol, host: &str, shares: &[(&str, f64)]) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    assert_shares(canary, protocol, &Request::new(host, "/"), shares).await;
}

/// Asserts that many requests are spread over the upstreams in these shares.
pub(crate) async fn assert_shares(canary: &Canary, protocol: Protocol, get: &Request, shares: &[(&str, f64)]) {
    let outcome = Load::start(canary.address, protocol, get, CONNECTIONS, REQUESTS).finish().await;
    assert_eq!(outcome.failures, [""; 0]);
    assert_eq!(outcome.successes(), REQUESTS);
    for (upstream, share) in shares {
        let hits = outcome.served(upstream);
        assert!(agrees(hits, REQUESTS, *share, ALPHA), "{upstream}: {hits} of {REQUESTS} for a share of {share}");
    }
}
