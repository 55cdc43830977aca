//! The Grafana dashboard: what it asks, asked of Prometheus.

use e2e::{binaries::workspace, client::Request, wait};
use serde_json::Value;

use crate::{project::Project, traffic::Traffic};

const DASHBOARD: &str = "compose/grafana/dashboards/canary.json";
/// The questions that a dashboard for a canary answers.
const PANELS: [&str; 5] = ["Share", "Errors", "Latency", "Reasons", "Fallbacks"];

/// Titles and expressions, with Grafana's variables replaced as Grafana does.
fn queries() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(workspace().join(DASHBOARD)).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("variables").iter();
    let of_variables = variables.filter_map(|variable| {
        let inner = variable["query"].as_str()?.strip_prefix("label_values(")?.split_once(',')?.0;
        Some((variable["name"].as_str()?.to_owned(), inner.to_owned()))
    });
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let of_panels = panels.flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().expect("targets").iter();
        targets.map(move |target| (title.clone(), target["expr"].as_str().expect("an expression").to_owned()))
    });
    let replaced = |text: String| text.replace("$__rate_interval", "10s").replace("$host", ".*");
    of_variables.chain(of_panels).map(|(title, text)| (title, replaced(text))).collect()
}

pub(crate) async fn every_query_has_an_answer(project: &Project) {
    let queries = queries();
    for panel in PANELS {
        assert!(queries.iter().any(|(title, _)| title.starts_with(panel)), "a panel {panel}");
    }
    // The tests of alerts have caused ejections and rejected configurations.
    project.take(&Project::shipped_rules()).await;
    let traffic = Traffic::start(project.listener, &Request::new("reviews:9080", "/reviews/0"), 2);
    for (title, query) in queries {
        assert!(!query.contains('$'), "{title}: a variable is left: {query}");
        wait::until(&format!("{title}: {query}"), async || {
            let samples = project.query(&query).await;
            samples.iter().any(|(_, value)| value.is_finite()).then_some(())
        })
        .await;
    }
    traffic.stop().await;
}
