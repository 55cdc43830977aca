//! Every alert of the shipped rules, made to fire. The rules look at seconds here instead of minutes.

use std::{collections::BTreeSet, fs, process::Command};

use e2e::{binaries::workspace, client::Request, example::read_yaml, wait};
use serde_json::{Value, json};

use crate::{
    losses::jasons_get_v2,
    project::{PROMETHEUS, Project},
    traffic::Traffic,
};

pub(crate) async fn hold_in_promtool(_: &Project) {
    for arguments in [
        ["check", "rules", "canary.rules.yaml"],
        ["test", "rules", "canary.rules.test.yaml"],
        ["check", "config", "prometheus.yaml"],
    ] {
        let mut promtool = Command::new("promtool");
        promtool.args(arguments).current_dir(workspace().join(PROMETHEUS));
        let output = promtool.output().expect("run promtool (on Debian: apt-get install prometheus)");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains("SUCCESS"), "promtool {arguments:?}: {said}");
    }
}

async fn fires(project: &Project, name: &str, labels: &[(&str, &str)]) {
    wait::until(&format!("{name} {labels:?}"), async || {
        let alerts = project.ask_prometheus("/api/v1/alerts").await;
        let is_it = |alert: &&Value| {
            alert["state"] == "firing"
                && alert["labels"]["alertname"] == name
                && labels.iter().all(|(label, value)| alert["labels"][label] == *value)
        };
        alerts["alerts"].as_array().expect("alerts").iter().find(is_it).map(|_| ())
    })
    .await;
}

pub(crate) async fn each_fires(project: &Project) {
    let shipped = read_yaml(&workspace().join(PROMETHEUS).join("canary.rules.yaml"));
    let groups = shipped["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    let shipped: BTreeSet<_> = rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect();
    let reviews = ("host", "reviews.default.svc.cluster.local");
    let v2 = ("version", "v2");

    project.take(&jasons_get_v2(false)).await;
    let well = Traffic::start(project.listener, &Request::new("reviews:9080", "/reviews/0"), 1);
    let failing = Request::new("reviews:9080", "/status/500").header("end-user", "jason");
    let ill = Traffic::start(project.listener, &failing, 1);
    fires(project, "CanaryErrors", &[reviews, v2]).await;

    project.take(&jasons_get_v2(true)).await;
    fires(project, "CanaryEjected", &[reviews, v2]).await;
    ill.stop().await;

    project.docker("stop", "reviews-v2");
    let moved = Traffic::start(project.listener, &Request::new("reviews:9080", "/").header("end-user", "jason"), 1);
    fires(project, "CanaryFallbacks", &[reviews]).await;
    project.docker("start", "reviews-v2");
    moved.stop().await;
    well.stop().await;

    refuse(project).await;
    fires(project, "CanaryConfigurationRefused", &[("plugin", "canary")]).await;

    let made: BTreeSet<_> =
        ["CanaryErrors", "CanaryEjected", "CanaryFallbacks", "CanaryConfigurationRefused"].map(str::to_owned).into();
    assert_eq!(made, shipped, "every alert that is shipped has been made to fire");
}

/// Pushes a configuration that the filter rejects, without `canaryctl deliver`, which would reject it, too.
async fn refuse(project: &Project) {
    let file = project.path("xds/ecds.json");
    let good = fs::read_to_string(&file).expect("the filter's configuration");
    let mut bad: Value = serde_json::from_str(&good).expect("JSON");
    bad["version_info"] = json!("bad");
    bad["resources"][0]["typed_config"]["config"]["configuration"]["value"] = json!(r#"{"mode": "none"}"#);
    let next = project.path("xds/bad.json");
    fs::write(&next, bad.to_string()).expect("write a bad configuration");
    fs::rename(next, &file).expect("move it");
}
