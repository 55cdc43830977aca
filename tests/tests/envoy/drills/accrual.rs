//! Failure accrual: a version that fails or hangs costs a bounded number of requests, and serves again after it recovers.

use std::time::{Duration, Instant};

use e2e::{
    canary::{Canary, NATIVE},
    client::{Answer, Connection, Protocol, Request},
    load::{Kind, Load},
    prometheus::Samples,
    proportion::{ALPHA, agrees},
    wait,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{self, Interval, MissedTickBehavior},
};

use super::{ejections, native_split, start, start_native};
use crate::{Subject, documents::all_to};

const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(5);
const EJECTION: Duration = Duration::from_secs(2);
/// Far more than needed on a busy machine, and far less than the default of `ejection`.
const LATE: Duration = Duration::from_secs(15);
/// The requests after which a state counts as stable.
const ENOUGH: u64 = 50;

/// All requests go to v2 with these settings, and to v1 while v2 is ejected.
fn document(accrual: &Value) -> Value {
    let mut document = all_to("v2");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"], "failureAccrual": accrual}]);
    document
}

async fn start_watched(subject: &Subject, accrual: &Value) -> Canary {
    start(subject, &document(accrual), &["v1", "v2", NATIVE]).await
}

async fn start_unwatched(subject: &Subject) -> Canary {
    start_native(subject, &native_split(&[("v2", 1)]), &["v1", "v2", NATIVE]).await
}

fn get() -> Request {
    Request::new("reviews", "/reviews/1")
}

async fn connect(proxy: &Canary) -> Connection {
    Connection::open(proxy.address, Protocol::Http1).await.expect("a connection")
}

fn load(proxy: &Canary, connections: u64, pause: Duration) -> Load {
    Load::paced(proxy.address, &Kind::Http(Protocol::Http1, get()), connections, pause)
}

/// Sends requests one by one until v1 answers. Returns the responses of v2, at most `most`.
async fn until_ejected(connection: &mut Connection, request: &Request, most: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        let answer = connection.send(request).await.expect("an answer");
        if answer.served_by == "v1" {
            return answers;
        }
        answers.push(answer);
        assert!(answers.len() <= most, "v2 is not ejected after {most} requests");
    }
}

fn failed(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 503).count()
}

/// Sends `count` requests one by one. v2 must answer all of them.
async fn all_by_v2(connection: &mut Connection, request: &Request, count: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.push(connection.send(request).await.expect("an answer"));
        assert_eq!(answers[answers.len() - 1].served_by, "v2", "nothing ejects it");
    }
    answers
}

pub(crate) async fn half_of_the_answers_fail(subject: &Subject) {
    const LEAST: usize = 20;
    let settings = json!({
        "consecutiveFailures": 0, "failureRatio": 0.5, "window": "60s", "minRequests": LEAST,
        "ejection": "2s", "maxEjection": "2s", "trial": {"percentage": {"value": 10}, "requests": 3},
    });
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    canary.upstream("v2").fail_every(2);
    let (mut connection, begin) = (connect(&canary).await, Instant::now());
    let answers = until_ejected(&mut connection, &get(), LEAST).await;
    assert_eq!((answers.len(), failed(&answers)), (LEAST, LEAST / 2), "answers, and failures among them");
    let samples = Samples::with(&canary.envoy, "canary_ejections_total", &[], 1).await;
    assert_eq!(samples.sum("canary_ejections_total", &[("reason", "failure-ratio")]), 1);
    canary.upstream("v2").fail_every(0);
    let load = load(&canary, CONNECTIONS, PAUSE);
    Samples::with(&canary.envoy, "canary_recoveries_total", &[], 1).await;
    let back = begin.elapsed();
    let served = load.so_far().served("v2");
    load.until("v2 serves", |outcome| outcome.served("v2") >= served + ENOUGH).await;
    let outcome = load.stop().await;
    eprintln!(
        "half of v2's answers fail: ejected by {} failures in {} requests; {} of {} failed after it healed, back {back:.1?} \
         after the first failure",
        LEAST / 2,
        answers.len(),
        outcome.failures.len(),
        outcome.all()
    );
    assert!((EJECTION..LATE).contains(&back), "back after {back:?}");
    assert_eq!(outcome.failures, [""; 0]);
}

/// The same with many clients at both workers, which share their state.
pub(crate) async fn half_of_the_answers_fail_at_both_workers(subject: &Subject) {
    let requests = subject.share_of(1_000).max(400);
    let settings = json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 20, "ejection": "60s"});
    let canary = start_watched(subject, &settings).await;
    let native = start_unwatched(subject).await;
    let _log = canary.envoy.show_log_on_panic();
    let mut lost = Vec::new();
    for proxy in [&canary, &native] {
        proxy.upstream("v2").fail_every(2);
        let load = load(proxy, CONNECTIONS, PAUSE);
        load.go_on_for(requests).await;
        let outcome = load.stop().await;
        let suffix = if lost.is_empty() { "" } else { " (control)" };
        eprintln!(
            "half of v2's answers fail, 4 clients{suffix}: {} of {} failed",
            outcome.failures.len(),
            outcome.all()
        );
        lost.push(outcome.refused(503));
    }
    // 10 failures in each worker, and those before the next exchange.
    assert!(lost[1] >= requests * 2 / 5, "nothing bounds what fails: {lost:?}");
    assert!(lost[0] < lost[1] / 2, "{} failed, and {} where nothing ejects", lost[0], lost[1]);
}

/// Single failures, slower than the exchange between workers.
pub(crate) async fn slow_failures_count_one_by_one(subject: &Subject) {
    const FAILURES: usize = 3;
    let settings = json!({"consecutiveFailures": FAILURES, "ejection": "60s"});
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let failing = Request::new("reviews", "/delay/300ms/status/503");
    let answers = until_ejected(&mut connect(&canary).await, &failing, FAILURES).await;
    eprintln!("failures of 300 ms, one at a time: ejected by {}", answers.len());
    assert_eq!(failed(&answers), FAILURES);

    let native = start_unwatched(subject).await;
    let answers = all_by_v2(&mut connect(&native).await, &failing, FAILURES * 2).await;
    eprintln!("failures of 300 ms, one at a time (control): {} of {} failed", failed(&answers), answers.len());
    assert_eq!(failed(&answers), answers.len());
}

/// Requests at a steady rate, without waiting for responses, on one connection and so at one worker.
struct Arrivals {
    connection: Connection,
    ticks: Interval,
    sent: u64,
    /// The clients wait until this is dropped.
    clients: JoinSet<u16>,
}

impl Arrivals {
    async fn open(proxy: &Canary) -> Self {
        let connection = Connection::open(proxy.address, Protocol::Http2).await.expect("a connection");
        let mut ticks = time::interval(Duration::from_millis(10));
        // After a stall, missed requests are not sent in a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { connection, ticks, sent: 0, clients: JoinSet::new() }
    }

    async fn go_on_for(&mut self, requests: u64) {
        for _ in 0..requests {
            self.ticks.tick().await;
            let mut shared = self.connection.shared().expect("HTTP/2");
            self.clients.spawn(async move { shared.send(&get()).await.expect("an answer").status });
            self.sent += 1;
        }
    }

    /// Sends requests until `condition` returns a value, at most `most`.
    async fn until<T>(&mut self, what: &str, most: u64, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        let most = self.sent + most;
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            assert!(self.sent < most, "{} requests without {what}", self.sent);
            self.go_on_for(1).await;
        }
    }

    /// Waits until all requests are answered, except those that hang at the upstream. Asserts that none failed.
    async fn all_answered_but(&mut self, hanging: u64) {
        while self.clients.len() as u64 > hanging {
            let status = self.clients.join_next().await.expect("a client").expect("no client panics");
            assert_eq!(status, 200);
        }
    }
}

/// Requests that hang do not block a trial.
pub(crate) async fn hangs_without_a_timeout(subject: &Subject) {
    const TRIAL: u64 = 3;
    // A request is slow after 0.5 s. Far fewer requests have come by then. Without failure accrual the version is not ejected.
    const MOST: u64 = 400;
    let settings = json!({
        "consecutiveFailures": 5, "slowAfter": "0.5s", "ejection": "2s", "maxEjection": "2s",
        "trial": {"percentage": {"value": 10}, "requests": TRIAL},
    });
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let (v1, v2) = (canary.upstream("v1"), canary.upstream("v2"));
    v2.hang(true);
    let mut arrivals = Arrivals::open(&canary).await;
    arrivals.until("an ejection", MOST, async || (v1.count() > 0).then_some(())).await;
    let (exposed, before) = (arrivals.sent, v2.count());
    let trial_failed = async || {
        let has_no_place = v2.count() >= before + TRIAL;
        (has_no_place && ejections(&canary, "trial").await > 0).then_some(())
    };
    arrivals.until("a failed trial", MOST * 4, trial_failed).await;
    wait::until("all at the upstreams", async || (v1.count() + v2.count() == arrivals.sent).then_some(())).await;
    let (hung, sent, trials) = (v2.count(), arrivals.sent, ejections(&canary, "trial").await + 1);
    eprintln!("v2 hangs: {hung} of {sent} requests hang, {exposed} sent until v1 served, {} trials failed", trials - 1);
    assert!(hung <= exposed + TRIAL * trials, "{hung} hang, {exposed} were sent before the ejection");
    arrivals.all_answered_but(hung).await;

    v2.hang(false);
    let (begin, before) = (Instant::now(), v2.count());
    let recovered = async || {
        let has_served = v2.count() >= before + TRIAL;
        let recoveries = async || Samples::of(&canary.envoy).await.sum("canary_recoveries_total", &[]);
        (has_served && recoveries().await > 0).then_some(())
    };
    arrivals.until("a recovery", MOST * 4, recovered).await;
    let back = begin.elapsed();
    arrivals.all_answered_but(hung).await;
    let before = v1.count();
    arrivals.go_on_for(ENOUGH).await;
    arrivals.all_answered_but(hung).await;
    eprintln!("v2 hangs: back {back:.1?} after it healed, {hung} clients still waiting");
    assert_eq!((v1.count(), v1.count() + v2.count()), (before, arrivals.sent), "v2 serves all again");
    assert_eq!(arrivals.clients.len() as u64, hung, "clients that wait");

    let native = start_unwatched(subject).await;
    native.upstream("v2").hang(true);
    let mut arrivals = Arrivals::open(&native).await;
    arrivals.go_on_for(exposed * 2).await;
    let all_hang = async || (native.upstream("v2").count() == arrivals.sent).then_some(());
    wait::until("all at v2", all_hang).await;
    eprintln!("v2 hangs (control): {0} of {0} requests hang", arrivals.sent);
}

pub(crate) async fn a_trial_gets_its_share_only(subject: &Subject) {
    for percentage in [10, 50] {
        let share = f64::from(percentage) / 100.0;
        let settings = json!({
            "consecutiveFailures": 5, "ejection": "1s", "maxEjection": "1s",
            // More than this test sends, so that the trial never ends.
            "trial": {"percentage": {"value": percentage}, "requests": 4_000},
        });
        let canary = start_watched(subject, &settings).await;
        let _log = canary.envoy.show_log_on_panic();
        canary.upstream("v2").fail_every(1);
        // One connection belongs to one worker, so no other worker sends requests to v2 before it knows of the ejection.
        let load = load(&canary, 1, Duration::ZERO);
        load.until("v1 serves", |outcome| outcome.served("v1") > 0).await;
        canary.upstream("v2").fail_every(0);
        load.until("the trial", |outcome| outcome.served("v2") > 0).await;
        let begin = load.so_far();
        load.go_on_for(subject.share_of(1_000).max(500)).await;
        let end = load.stop().await;
        let (hits, picks) = (end.served("v2") - begin.served("v2"), end.successes() - begin.successes());
        eprintln!("trial of {percentage} %: {hits} of {picks} picks of v2, {:.3}", hits as f64 / picks as f64);
        assert!(agrees(hits, picks, share, ALPHA), "{percentage} %: {hits} of {picks} picks");
    }
}

/// A connection at each of the two workers.
async fn one_of_each_worker(canary: &Canary) -> [Connection; 2] {
    let mut found: [Option<Connection>; 2] = [None, None];
    loop {
        if let [Some(_), Some(_)] = &found {
            return found.map(|connection| connection.expect("one of each"));
        }
        let before = canary.envoy.connections_by_worker().await;
        let mut connection = connect(canary).await;
        connection.send(&Request::new("other.example", "/")).await.expect("an answer");
        let after = canary.envoy.connections_by_worker().await;
        assert_eq!(after.len(), 2, "two workers");
        let worker = (0..2).find(|worker| after[*worker] > before.get(*worker).copied().unwrap_or(0));
        found[worker.expect("a worker has taken it")] = Some(connection);
    }
}

pub(crate) async fn one_worker_ejects_for_all(subject: &Subject) {
    const FAILURES: usize = 5;
    let settings = json!({"consecutiveFailures": FAILURES, "ejection": "60s", "trial": {"requests": 3}});
    let canary = start_watched(subject, &settings).await;
    let _log = canary.envoy.show_log_on_panic();
    let [mut first, mut second] = one_of_each_worker(&canary).await;
    let failing = Request::new("reviews", "/status/503");
    let failures = failed(&until_ejected(&mut first, &failing, FAILURES).await);
    let begin = Instant::now();
    let mut served = 0;
    while second.send(&get()).await.expect("an answer").served_by == "v2" {
        served += 1;
        assert!(begin.elapsed() < LATE, "the other worker has not heard of the ejection");
    }
    eprintln!(
        "two workers: ejected by {failures} failures on one, {:.0?} and {served} successes later on the other",
        begin.elapsed()
    );
    assert_eq!(failures, FAILURES);

    let native = start_unwatched(subject).await;
    for (name, connection) in ["first", "second"].iter().zip(&mut one_of_each_worker(&native).await) {
        let answers = all_by_v2(connection, &failing, FAILURES * 2).await;
        eprintln!("two workers (control), {name}: {} of {} failed", failed(&answers), answers.len());
        assert_eq!(failed(&answers), answers.len(), "{name}");
    }
}
