//! The filter's metrics by host, version and reason, and its fields in the access log.

use std::collections::BTreeSet;

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, NATIVE, UPSTREAMS},
    client::{self, Protocol, Request},
    load::Load,
    prometheus::Samples,
};
use serde_json::{Value, json};

use crate::{
    Subject,
    documents::{all_to, document, split},
    steering::TEST_ID,
};

const REVIEWS: (&str, &str) = ("host", "reviews.default.svc.cluster.local");
const REQUESTS: u64 = 1_000;
const CONNECTIONS: u64 = 8;
/// The most series of one worker.
const MOST: usize = 1_024;

/// Sends requests on several connections, so that both workers have some.
async fn serve(canary: &Canary, get: Request, requests: u64) {
    let outcome = Load::start(canary.address, Protocol::Http1, &get, CONNECTIONS, requests).finish().await;
    assert_eq!(outcome.failures, [""; 0]);
}

/// Waits until the metrics have this number of finished requests. Histograms are updated every
/// few seconds.
async fn counted(canary: &Canary, requests: u64) -> Samples {
    Samples::with(&canary.envoy, "canary_request_duration_milliseconds_count", &[], requests).await
}

/// Asserts for each version that requests, responses and durations are as many as its upstream got.
fn assert_as_recorded(canary: &Canary, samples: &Samples) {
    for upstream in canary.upstreams().filter(|upstream| upstream.name() != NATIVE) {
        let of = |name: &str, label: Option<(&str, &str)>| {
            let labels: Vec<_> = [REVIEWS, ("version", upstream.name())].into_iter().chain(label).collect();
            samples.sum(name, &labels)
        };
        let shown = [
            of("canary_requests_total", None),
            of("canary_responses_total", Some(("class", "2xx"))),
            of("canary_request_duration_milliseconds_count", None),
        ];
        assert_eq!(shown, [upstream.count(); 3], "{}", upstream.name());
        eprintln!("{}: {} requests recorded, as many counted", upstream.name(), upstream.count());
    }
}

pub(crate) async fn are_what_the_upstreams_recorded(subject: &Subject) {
    let mut document = document(&[("reviews", json!([{"route": split(&[("v1", 50), ("v2", 30), ("v3", 20)])}]))]);
    document["policies"] = json!([{"hosts": ["reviews"], "defaultSubset": "v1", "versionHeader": {"name": "want"}}]);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    let reviews = || Request::new("reviews", "/");
    serve(&canary, reviews(), REQUESTS).await;
    serve(&canary, reviews().header("want", "v2"), 100).await;
    serve(&canary, reviews().header("want", "v9;.;version=.=v8"), 50).await;
    serve(&canary, Request::new("elsewhere", "/"), 20).await;
    let samples = counted(&canary, REQUESTS + 150).await;
    assert_as_recorded(&canary, &samples);
    for (row, name, label, value, sum) in [
        ("drawn", "canary_requests_total", "reason", "weight", REQUESTS),
        ("asked for", "canary_requests_total", "reason", "version-header", 150),
        ("made up", "canary_fallbacks_total", "reason", "unknown-version", 50),
        ("its name is nobody's", "canary_fallbacks_total", "from", "unknown", 50),
        ("to the default", "canary_fallbacks_total", "to", "v1", 50),
        ("no other host", "canary_requests_total", "host", REVIEWS.1, REQUESTS + 150),
    ] {
        assert_eq!(samples.sum(name, &[(label, value)]), sum, "{row}");
    }
    assert_eq!(samples.sum("canary_decision_errors_total", &[]), 0);
    assert!(samples.named("canary_").all(|sample| !sample.name.contains("__")), "labels are taken out of names");
}

pub(crate) async fn a_request_counts_for_the_version_that_serves(subject: &Subject) {
    let mut document = all_to("v2");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]);
    let around = Surroundings::failing_over(subject.failover(), 1);
    let backends = ["v1", NATIVE].map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, around, &document, &backends).await;
    let first =
        client::send(canary.address, Protocol::Http1, &Request::new("reviews", "/").header(TEST_ID, "moved")).await;
    assert_eq!(first.served_by, "v1");
    let entry = canary.access_log("moved").await;
    assert_eq!(entry["canary"], "version=v1 reason=rule", "{entry}");
    serve(&canary, Request::new("reviews", "/"), REQUESTS).await;
    let samples = counted(&canary, REQUESTS + 1).await;
    assert_as_recorded(&canary, &samples);
    assert_eq!(samples.sum("canary_requests_total", &[]), REQUESTS + 1, "each once");
    let fallback = [REVIEWS, ("from", "v2"), ("to", "v1"), ("reason", "no-endpoints")];
    assert_eq!(samples.sum("canary_fallbacks_total", &fallback), REQUESTS + 1);
}

pub(crate) async fn faults_and_mirrors_are_counted(subject: &Subject) {
    let mut document = all_to("v1");
    let rule = &mut document["virtualServices"][0]["spec"]["http"][0];
    assert!(rule.is_object(), "a rule");
    rule["fault"] = json!({"abort": {"httpStatus": 555, "percentage": {"value": 30}}});
    rule["mirrors"] = json!([{"destination": {"host": "reviews", "subset": "v3"}, "percentage": {"value": 50}}]);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    let load = Load::start(canary.address, Protocol::Http1, &Request::new("reviews", "/"), CONNECTIONS, REQUESTS);
    let aborted = load.finish().await.refused(555);
    let samples = counted(&canary, REQUESTS).await;
    let version = ("version", "v1");
    assert_eq!(samples.sum("canary_requests_total", &[REVIEWS, version]), REQUESTS, "aborted ones, too");
    assert_eq!(samples.sum("canary_faults_total", &[REVIEWS, version, ("type", "abort")]), aborted);
    assert_eq!(samples.sum("canary_responses_total", &[REVIEWS, version, ("class", "5xx")]), aborted);
    assert_eq!(
        samples.sum("canary_responses_total", &[REVIEWS, version, ("class", "2xx")]),
        canary.upstream("v1").count()
    );
    let mirror = ("cluster", "outbound|9080|v3|reviews.default.svc.cluster.local");
    let copies = samples.sum("canary_mirrors_total", &[REVIEWS, mirror]);
    e2e::wait::until("all copies", async || (canary.upstream("v3").count() >= copies).then_some(())).await;
    assert_eq!(copies, canary.upstream("v3").count());
}

pub(crate) async fn documents_are_counted(subject: &Subject) {
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &all_to("v1"), &UPSTREAMS).await;
    let version = async || {
        let samples = Samples::of(&canary.envoy).await;
        (samples.sum("canary_config_version", &[("plugin", "canary")]), samples)
    };
    let (first, _) = version().await;
    assert!(first > 0);
    canary.take(&all_to("v2")).await;
    let (second, samples) = version().await;
    assert_ne!(first, second);
    assert_eq!(samples.sum("canary_config_reloads_total", &[("result", "refused")]), 0);
    assert!(samples.sum("canary_config_reloads_total", &[("plugin", "canary"), ("result", "accepted")]) >= 2);
    canary.configure(&json!({"virtualServices": 1}));
    Samples::with(&canary.envoy, "canary_config_reloads_total", &[("plugin", "canary"), ("result", "refused")], 1)
        .await;
    assert_eq!(version().await.0, second, "the document in force");
}

pub(crate) async fn series_are_bounded(subject: &Subject) {
    const HOSTS: usize = 2_000;
    let host = |number: usize| format!("h{number}.test");
    let services = |number: usize| json!({"hosts": [host(number)], "http": [{"route": [{"destination": {"host": host(number)}}]}]});
    let services: Vec<Value> = (0..HOSTS).map(services).collect();
    let canary =
        Canary::start(&subject.binary, Delivery::Ecds, &json!({"virtualServices": services}), &UPSTREAMS).await;
    let mut connection = client::Connection::open(canary.address, Protocol::Http1).await.expect("a connection");
    for number in 0..HOSTS {
        // There is no such cluster, and that counts, too.
        assert_eq!(connection.send(&Request::new(&host(number), "/")).await.expect("an answer").status, 503);
    }
    let samples = counted(&canary, HOSTS as u64).await;
    assert_eq!(samples.sum("canary_requests_total", &[]), HOSTS as u64, "none is lost");
    assert_eq!(samples.sum("canary_responses_total", &[("class", "5xx")]), HOSTS as u64);
    let series: BTreeSet<_> = samples
        .named("canary_")
        .filter(|sample| !sample.name.ends_with("_bucket") && !sample.name.ends_with("_sum"))
        .map(|sample| (&sample.name, &sample.labels))
        .collect();
    // One connection, so one worker. The main thread has also loaded the configuration.
    assert!((MOST..MOST + 10).contains(&series.len()), "{} series", series.len());
    assert!(
        samples.sum("canary_requests_total", &[("host", "overflow"), ("version", "overflow"), ("reason", "rule")])
            > 1_000
    );
    eprintln!("{HOSTS} hosts: {} series", series.len());
}

pub(crate) async fn access_logs_show_the_decision(subject: &Subject) {
    const STATES: [&str; 4] = ["canary", "version", "reason", "route"];
    let mut document = document(&[("reviews", json!([{"route": split(&[("v1", 0), ("v2", 100)])}]))]);
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &document, &UPSTREAMS).await;
    for (row, host, route, separate, expected) in [
        (
            "a route with a name",
            "reviews",
            "all",
            false,
            [Some("version=v2 reason=weight route=all"), None, None, None],
        ),
        ("a route without a name", "reviews", "", false, [Some("version=v2 reason=weight"), None, None, None]),
        (
            "separate states",
            "reviews",
            "all",
            true,
            [Some("version=v2 reason=weight route=all"), Some("v2"), Some("weight"), Some("all")],
        ),
        (
            "a name with a blank and a percent sign",
            "reviews",
            "all of 100%",
            true,
            [Some("version=v2 reason=weight route=all%20of%20100%25"), Some("v2"), Some("weight"), Some("all of 100%")],
        ),
        ("no VirtualService", "elsewhere", "all", true, [None; 4]),
    ] {
        document["virtualServices"][0]["spec"]["http"][0]["name"] = json!(route);
        document["filterState"] = json!({"separate": separate});
        canary.take(&document).await;
        client::send(canary.address, Protocol::Http1, &Request::new(host, "/").header(TEST_ID, row)).await;
        let entry = canary.access_log(row).await;
        assert_eq!(STATES.map(|state| entry[state].as_str()), expected, "{row}: {entry}");
    }
}
