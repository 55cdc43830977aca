//! Failure accrual: a version that fails or hangs costs a bounded number of requests, and comes back when it has healed.

use std::time::{Duration, Instant};

use e2e::{
    canary::{Canary, NATIVE},
    client::{Connection, Protocol, Request},
    load::{Kind, Load},
    proportion::{ALPHA, agrees},
    wait,
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time};

use super::{assert_some_lost, native_split, start, start_native};
use crate::{Subject, documents::all_to};

const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(5);
/// How often workers tell each other what they know, with room for a busy machine.
const EXCHANGE: Duration = Duration::from_millis(500);
const EJECTION: Duration = Duration::from_secs(2);
const EJECTED_BY_RATIO: &str = "wasmcustom.host=.=reviews.default.svc.cluster.local;.;version=.=v2;.;reason=.=failure-ratio;.;canary_ejections_total";

/// Everything to v2 under these settings, and to v1 while v2 is ejected.
fn document(accrual: &Value) -> Value {
    let mut document = all_to("v2");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": accrual}]);
    document
}

async fn start_watched(subject: &Subject, accrual: &Value) -> Canary {
    start(subject, "learned", &document(accrual), &["v1", "v2", NATIVE]).await
}

async fn start_unwatched(subject: &Subject) -> Canary {
    start_native(subject, &native_split(&[("v2", 1)]), &["v1", "v2", NATIVE]).await
}

fn get() -> Request {
    Request::new("reviews", "/reviews/1")
}

fn paced(proxy: &Canary) -> Load {
    Load::paced(proxy.address, &Kind::Http(Protocol::Http1, get()), CONNECTIONS, PAUSE)
}

/// Sends until v2 serves nearly everything, and gives the time that took.
async fn recovery(load: &Load) -> Duration {
    let begin = Instant::now();
    let before = load.so_far();
    load.until("v2 is back", |outcome| outcome.served("v2") >= before.served("v2") + 50).await;
    begin.elapsed()
}

pub(crate) async fn half_of_the_answers_fail(subject: &Subject) {
    // One worker ejects by its first 20 results; what it has not seen comes with an exchange.
    const MOST_FAILED: u64 = 100;
    let settings = json!({
        "consecutiveFailures": 0, "failureRatio": 0.5, "window": "10s", "minRequests": 20,
        "ejection": "2s", "maxEjection": "2s", "trial": {"percentage": {"value": 10}, "requests": 3},
    });
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    canary.upstream("v2").fail_every(2);
    let load = paced(&canary);
    load.until("v1 stands in", |outcome| outcome.served("v1") >= 100).await;
    let exposed = load.so_far().refused(503);
    canary.upstream("v2").fail_every(0);
    let back = recovery(&load).await;
    let outcome = load.stop().await;
    eprintln!(
        "half of v2's answers fail: {exposed} failed before the ejection (at most {MOST_FAILED}), {} in all; \
         back {back:.1?} after it healed",
        outcome.failures.len()
    );
    assert!((1..=MOST_FAILED).contains(&exposed), "{exposed} requests failed before the ejection");
    assert_eq!(canary.envoy.stat(EJECTED_BY_RATIO).await, 1);
    assert!(back <= EJECTION * 2, "{back:?} after it healed");

    let native = start_unwatched(subject).await;
    native.upstream("v2").fail_every(2);
    let outcome = Load::start(native.address, Protocol::Http1, &get(), CONNECTIONS, 1_000).finish().await;
    assert_some_lost("half of v2's answers fail", &outcome);
    assert!(outcome.refused(503) >= 400, "nothing bounds what fails: {}", outcome.refused(503));
}

/// Failures that take longer than it takes workers to tell each other what they know, one at a time.
pub(crate) async fn slow_failures_count_one_by_one(subject: &Subject) {
    let settings = json!({"consecutiveFailures": 3, "ejection": "60s"});
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let mut connection = Connection::open(canary.address, Protocol::Http1).await.expect("a connection");
    let failing = Request::new("reviews", "/delay/300ms/status/503");
    let mut failures = 0;
    while connection.send(&failing).await.expect("an answer").served_by == "v2" {
        failures += 1;
        assert!(failures <= 3, "v2 is not ejected");
    }
    eprintln!("failures of 300 ms, one at a time: ejected by {failures}");
    assert_eq!(failures, 3);
}

/// Time from request to request at a steady rate, whether they are answered or not.
const ARRIVALS: Duration = Duration::from_millis(10);

/// What came of requests for a version that hangs.
struct Hanging {
    sent: u64,
    hung: u64,
    /// Until another version served for the first time.
    exposed: Option<Duration>,
}

/// Sends to a v2 that hangs, at a steady rate for `length`.
async fn send_to_hanging(proxy: &Canary, length: Duration) -> Hanging {
    let (v1, v2) = (proxy.upstream("v1"), proxy.upstream("v2"));
    v2.hang(true);
    let connection = Connection::open(proxy.address, Protocol::Http2).await.expect("a connection");
    let (mut requests, mut sent) = (JoinSet::new(), 0);
    let (mut ticks, begin, mut exposed) = (time::interval(ARRIVALS), Instant::now(), None);
    while begin.elapsed() < length {
        ticks.tick().await;
        let mut shared = connection.shared().expect("HTTP/2");
        requests.spawn(async move { shared.send(&get()).await.is_ok() });
        sent += 1;
        if v1.count() > 0 {
            exposed.get_or_insert_with(|| begin.elapsed());
        }
    }
    wait::until("all requests at the upstreams", async || (v1.count() + v2.count() == sent).then_some(())).await;
    Hanging { sent, hung: v2.count(), exposed }
}

pub(crate) async fn hangs_without_a_timeout(subject: &Subject) {
    const SLOW_AFTER: Duration = Duration::from_millis(500);
    const LENGTH: Duration = Duration::from_secs(4);
    // What arrives until the first are slow and it has been noticed, and a few of each trial and at the end.
    let most = u64::try_from((SLOW_AFTER + EXCHANGE).as_millis() / ARRIVALS.as_millis()).expect("few") + 10;
    let settings = json!({
        "consecutiveFailures": 5, "slowAfter": "0.5s", "ejection": "2s", "maxEjection": "2s",
        "trial": {"percentage": {"value": 10}, "requests": 3},
    });
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let Hanging { sent, hung, exposed } = send_to_hanging(&canary, LENGTH).await;
    eprintln!("v2 hangs: {hung} of {sent} requests hang (at most {most}), ejected after {exposed:.1?}");
    assert!((1..=most).contains(&hung), "{hung} of {sent} requests hang");
    canary.upstream("v2").hang(false);
    let load = paced(&canary);
    let back = recovery(&load).await;
    let outcome = load.stop().await;
    eprintln!("v2 hangs: back {back:.1?} after it healed, {} failed then", outcome.failures.len());
    assert!(back <= EJECTION * 3, "{back:?} after it healed");
    assert_eq!(outcome.failures, [""; 0]);

    let native = start_unwatched(subject).await;
    let Hanging { sent, hung, .. } = send_to_hanging(&native, LENGTH / 4).await;
    eprintln!("v2 hangs (control): {hung} of {sent} requests hang");
    assert_eq!(hung, sent, "nothing bounds what hangs");
}

pub(crate) async fn a_trial_gets_its_share_only(subject: &Subject) {
    const SHARE: f64 = 0.1;
    let settings = json!({
        "consecutiveFailures": 5, "ejection": "1s", "maxEjection": "1s",
        "trial": {"percentage": {"value": 10}, "requests": 400},
    });
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    canary.upstream("v2").fail_every(1);
    let load = Load::paced(canary.address, &Kind::Http(Protocol::Http1, get()), CONNECTIONS, Duration::ZERO);
    load.until("v1 stands in", |outcome| outcome.served("v1") >= 10).await;
    canary.upstream("v2").fail_every(0);
    load.until("the trial", |outcome| outcome.served("v2") >= 20).await;
    let begin = load.so_far();
    load.until("most of the trial", |outcome| outcome.served("v2") >= 320).await;
    let end = load.so_far();
    load.until("v2 is back", |outcome| outcome.served("v2") >= 2_000).await;
    load.stop().await;
    let (hits, picks) = (end.served("v2") - begin.served("v2"), end.successes() - begin.successes());
    let share = hits as f64 / picks as f64;
    eprintln!("trial: {hits} of {picks} picks of v2, {share:.3} for a share of {SHARE}");
    assert!(share <= SHARE || agrees(hits, picks, SHARE, ALPHA), "{hits} of {picks} picks");
}

/// A connection that each of the two workers has taken.
async fn one_of_each_worker(canary: &Canary) -> [Connection; 2] {
    let mut found: [Option<Connection>; 2] = [None, None];
    loop {
        if let [Some(_), Some(_)] = &found {
            return found.map(|connection| connection.expect("one of each"));
        }
        let before = canary.envoy.connections_by_worker().await;
        let mut connection = Connection::open(canary.address, Protocol::Http1).await.expect("a connection");
        connection.send(&Request::new("other.example", "/")).await.expect("an answer");
        let after = canary.envoy.connections_by_worker().await;
        assert_eq!(after.len(), 2, "two workers");
        let worker = (0..2).find(|worker| after[*worker] > before.get(*worker).copied().unwrap_or(0));
        found[worker.expect("a worker has taken it")] = Some(connection);
    }
}

pub(crate) async fn one_worker_ejects_for_all(subject: &Subject) {
    let settings = json!({"consecutiveFailures": 5, "ejection": "60s", "trial": {"requests": 3}});
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let [mut first, mut second] = one_of_each_worker(&canary).await;
    let failing = Request::new("reviews", "/status/503");
    let mut failures = 0;
    while first.send(&failing).await.expect("an answer").served_by == "v2" {
        failures += 1;
        assert!(failures <= 5, "v2 is not ejected");
    }
    let begin = Instant::now();
    let mut served = 0;
    while second.send(&get()).await.expect("an answer").served_by == "v2" {
        served += 1;
        assert!(begin.elapsed() < EXCHANGE * 4, "the other worker has not heard of the ejection");
    }
    eprintln!(
        "two workers: ejected by {failures} failures on one, {:.0?} and {served} successes later on the other",
        begin.elapsed()
    );
    assert_eq!(failures, 5);
}
