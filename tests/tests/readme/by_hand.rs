//! What the README says to put into `envoy-configs/bootstrap.yaml`, put in and run.

use std::{fs, os::unix::fs::symlink};

use e2e::{
    binaries::{self, workspace},
    client::{self, Answer, Protocol, Request},
    envoy::Envoy,
    example::read_yaml,
    upstream::Upstream,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const BOOTSTRAP: &str = "envoy-configs/bootstrap.yaml";
const FILTERS: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
/// The version of the request that is sent: Jason's.
const VERSION: &str = "v2";

/// A chain of HTTP filters moves the first request for a version whose cluster is not there.
pub(crate) fn a_chain_guards(block: &Value) {
    let answer = ask(|bootstrap| {
        *bootstrap.pointer_mut(FILTERS).expect("the HTTP filters") = block["http_filters"].clone();
        clusters(bootstrap).retain(|cluster| cluster["name"] != format!("reviews-{VERSION}"));
    });
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "the chain guards: {answer:?}");
}

/// Clusters that stand in for a version's own: they serve as it does, and by another version where it has no endpoints.
pub(crate) fn an_aggregate_cluster_falls_back(block: &Value) {
    let shown = block["clusters"].as_array().expect("a list of clusters");
    for (is_empty, served_by) in [(false, VERSION), (true, "v1")] {
        let answer = ask(|bootstrap| {
            clusters(bootstrap).retain(|cluster| cluster["name"] != format!("reviews-{VERSION}"));
            clusters(bootstrap).extend(shown.iter().cloned().map(|mut cluster| {
                if is_empty && cluster.get("load_assignment").is_some() {
                    cluster["load_assignment"]["endpoints"] = json!([]);
                }
                cluster
            }));
            // The guard would leave it alone, too, but for `trusted`: there the number of endpoints is always 0.
            let filters = bootstrap.pointer_mut(FILTERS).and_then(Value::as_array_mut).expect("the HTTP filters");
            filters.retain(|filter| filter["name"] != "canary-guard");
        });
        assert_eq!((answer.status, answer.served_by.as_str()), (200, served_by), "empty: {is_empty}: {answer:?}");
    }
}

fn clusters(bootstrap: &mut Value) -> &mut Vec<Value> {
    bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut).expect("clusters")
}

/// Jason's request through an Envoy with the changed bootstrap, its ports moved to free ones.
fn ask(change: impl FnOnce(&mut Value)) -> Answer {
    let binary = binaries::envoys().unwrap_or_else(|error| panic!("{error}")).pop().expect("an Envoy");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for linked in ["envoy-configs", "dist"] {
        fs::create_dir(folder.path().join(linked)).expect("a folder");
    }
    symlink(binaries::wasm(), folder.path().join("dist/canary_filter.wasm")).expect("a link to the filter");
    let ecds = "envoy-configs/ecds.yaml";
    symlink(workspace().join(ecds), folder.path().join(ecds)).expect("a link to the configuration");
    let mut bootstrap = read_yaml(&workspace().join(BOOTSTRAP));
    change(&mut bootstrap);
    let runtime = Runtime::new().expect("a tokio runtime");
    runtime.block_on(async {
        let mut text = bootstrap.to_string();
        let mut upstreams = Vec::new();
        for (name, port) in [("native", 9080), ("v1", 9081), ("v2", 9082), ("v3", 9083)] {
            let upstream = Upstream::start(name).await;
            text = text.replace(&port_value(port), &port_value(upstream.address().port()));
            upstreams.push(upstream);
        }
        for port in [9901, 10000] {
            text = text.replace(&port_value(port), &port_value(0));
        }
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, text).expect("write the bootstrap");
        let envoy = Envoy::start(&binary, folder.path(), &file).await;
        let get = Request::new("reviews", "/").header("end-user", "jason");
        client::send(envoy.listener("http").await, Protocol::Http1, &get).await
    })
}

fn port_value(port: u16) -> String {
    format!(r#""port_value":{port}}}"#)
}
