//! `canaryctl deliver`: rules and upstreams of an Envoy that it has not started.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use e2e::{
    binaries,
    canaryctl::Server,
    client::{self, Protocol, Request},
    envoy::Envoy,
    ports, wait,
};
use serde_json::{Value, json};

use crate::Subject;

/// A running `canaryctl deliver`. It is killed when this is dropped.
struct Deliver(Child);

impl Drop for Deliver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Jason gets this version, and v1 if it is not ready. Other users get v1.
fn rules(jasons: &str) -> Value {
    let to = |subset: &str| json!([{"destination": {"host": "reviews", "subset": subset}}]);
    json!({
        "virtualServices": [{"hosts": ["reviews"], "http": [
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to(jasons)},
            {"route": to("v1")},
        ]}],
        "services": [{"host": "reviews", "ports": [9080]}],
        "policies": [{"hosts": ["reviews"], "fallback": ["v2", "v1"]}],
    })
}

fn write(file: &Path, content: &Value) {
    let next = file.with_extension("next");
    fs::write(&next, content.to_string()).expect("write the rules");
    fs::rename(next, file).expect("move the rules");
}

pub(crate) async fn brings_rules_and_who_is_ready(subject: &Subject) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rules.json");
    write(&file, &rules("v2"));
    let [listener, admin, here] = ports::free();
    let v2 = Server::echo("reviews/v2", &[], listener);
    let deliver = Command::new(binaries::canaryctl())
        .args(["deliver", "--listen", "127.0.0.1", "--port", &listener.port().to_string()])
        .args(["--admin", &admin.to_string(), "--here", &here.to_string()])
        .args(["--upstream", &format!("reviews/v2={}", v2.address()), "--upstream", "ratings/v1=127.0.0.1:1"])
        .arg("--config")
        .arg(&file)
        .arg("--files")
        .arg(folder.path())
        .arg("--wasm")
        .arg(binaries::wasm())
        .stdout(Stdio::null())
        .spawn();
    let _deliver = Deliver(deliver.expect("start canaryctl deliver"));
    // It answers here when the files exist.
    wait::until("the files", async || client::Connection::open(here, Protocol::Http1).await.ok()).await;
    let _envoy = Envoy::start(&subject.binary, folder.path(), &folder.path().join("bootstrap.json")).await;

    let ask = async |user: &str| {
        let request = Request::new("reviews:9080", "/").header("end-user", user);
        let answer = client::send(listener, Protocol::Http1, &request).await;
        let echo: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, echo["version"].as_str().unwrap_or_default().to_owned())
    };
    let served_by = |version: &str| (200, version.to_owned());
    assert_eq!(ask("jason").await, served_by("v2"), "by the server that was named");
    assert_eq!(ask("ann").await, served_by("v1"), "by an echo server of its own");

    write(&file, &rules("v3"));
    wait::until("other rules", async || (ask("jason").await == served_by("v3")).then_some(())).await;
    write(&file, &json!({"virtualServices": [{}]}));
    write(&file, &rules("v2"));
    wait::until("good rules after bad ones", async || (ask("jason").await == served_by("v2")).then_some(())).await;

    drop(v2);
    wait::until("v1 for v2", async || (ask("jason").await == served_by("v1")).then_some(())).await;
    for number in 0..20 {
        assert_eq!(ask("jason").await, served_by("v1"), "request {number} after v2 was seen to be gone");
    }
}
