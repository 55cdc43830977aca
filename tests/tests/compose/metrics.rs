//! Prometheus, asked by its API, against what the containers say they have answered.

use std::collections::BTreeMap;

use e2e::{client::Request, wait};

use crate::{project::Project, traffic::Traffic};

const REQUESTS: u64 = 500;
const PATH: &str = "/reviews/counted";
const HOST: &str = "reviews.default.svc.cluster.local";
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

/// By version, what Prometheus has of a metric of the reviews.
async fn counted(project: &Project, metric: &str) -> BTreeMap<String, u64> {
    let found = project.query(&format!(r#"sum by (version) ({metric}{{host="{HOST}"}})"#)).await;
    let version = |labels: &serde_json::Value| labels["version"].as_str().unwrap_or_default().to_owned();
    found.iter().map(|(labels, value)| (version(labels), *value as u64)).collect()
}

pub(crate) async fn are_what_the_containers_recorded(project: &Project) {
    project.take(&Project::shipped_rules()).await;
    // What came before has to have arrived: a scrape later than the last request.
    wait_for_scrape(project).await;
    let before = counted(project, "canary_requests_total").await;
    let reviews = Request::new("reviews:9080", PATH);
    for (request, requests) in [(&reviews, REQUESTS), (&reviews.clone().header("end-user", "jason"), REQUESTS / 5)] {
        let counts = Traffic::up_to(project.listener, request, 4, requests).finish().await;
        assert!(counts.keys().all(|outcome| outcome.starts_with("reviews/v")), "{counts:?}");
    }
    // What a container writes is in its log a little later.
    let recorded = wait::until("every request is recorded", async || {
        let count = |version: &str| project.recorded(&format!("reviews-{version}"), PATH);
        let recorded: BTreeMap<String, u64> = VERSIONS.map(|version| (version.to_owned(), count(version))).into();
        (recorded.values().sum::<u64>() >= REQUESTS + REQUESTS / 5).then_some(recorded)
    })
    .await;
    assert_eq!(recorded.values().sum::<u64>(), REQUESTS + REQUESTS / 5, "{recorded:?}");
    assert!(recorded.values().all(|count| *count > 0), "every version has served: {recorded:?}");
    let expected: BTreeMap<_, _> = recorded
        .iter()
        .map(|(version, count)| (version.clone(), before.get(version).copied().unwrap_or_default() + count))
        .collect();
    for metric in ["canary_requests_total", "canary_responses_total", "canary_request_duration_milliseconds_count"] {
        wait::until(&format!("{metric}: {expected:?} after {before:?}"), async || {
            (counted(project, metric).await == expected).then_some(())
        })
        .await;
    }
}

/// Waits until Prometheus has asked Envoy once more from now on, and Envoy has flushed what it counts.
async fn wait_for_scrape(project: &Project) {
    let scrapes = async || {
        let found = project.query("sum(timestamp(up))").await;
        found.first().map(|(_, time)| *time).unwrap_or_default()
    };
    let begin = scrapes().await;
    wait::until("two more scrapes", async || (scrapes().await >= begin + 2.0).then_some(())).await;
}
