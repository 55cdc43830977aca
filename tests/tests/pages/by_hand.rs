//! Runs the changes of `envoy-configs/bootstrap.yaml` that the pages describe.

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
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// The port of a cluster's only endpoint.
const ENDPOINT_PORT: &str = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
/// The version of the request that is sent: Jason's.
const VERSION: &str = "v2";

/// The result of a request.
#[derive(Debug)]
struct Outcome {
    answer: Answer,
    /// The version headers that its upstreams got.
    version_headers: Vec<String>,
}

/// Routes follow what the filter says.
pub(crate) fn routes_steer(block: &Value) {
    let outcome = ask(|bootstrap| {
        let place = format!("{MANAGER}/route_config/virtual_hosts/0/routes");
        *bootstrap.pointer_mut(&place).expect("the routes") = block["routes"].clone();
    });
    assert_eq!((outcome.answer.status, outcome.answer.served_by.as_str()), (200, VERSION), "{outcome:?}");
}

/// A version's clusters and the retries of the steered routes: the first request for it is served, also where
/// it refuses, is empty or is not there, and the upstream gets the name of its version.
pub(crate) fn a_version_fails_over(block: &Value) {
    type Change = fn(&mut Value);
    let rows: [(&str, Change, &str); 4] = [
        ("serves", |_| {}, VERSION),
        ("refuses", |own| *own.pointer_mut(ENDPOINT_PORT).expect("a port") = json!(1), "v1"),
        ("is empty", |own| own["load_assignment"]["endpoints"] = json!([]), "v1"),
        (
            "is missing",
            |own| {
                ["/name", "/load_assignment/cluster_name"]
                    .into_iter()
                    .for_each(|name| *own.pointer_mut(name).expect("a name") = json!("another"))
            },
            "v1",
        ),
    ];
    for (row, change, served_by) in rows {
        let outcome = ask(|bootstrap| {
            put_in(bootstrap, block);
            let own = clusters(bootstrap).iter_mut().find(|cluster| cluster["name"] == format!("reviews-{VERSION}"));
            change(own.expect("the version's own cluster"));
        });
        assert_eq!((outcome.answer.status, outcome.answer.served_by.as_str()), (200, served_by), "{row}: {outcome:?}");
        assert_eq!(outcome.version_headers, [served_by], "{row}");
    }
}

/// The bootstrap with the parts of a block in place of its own.
fn put_in(bootstrap: &mut Value, block: &Value) {
    let shown = block["clusters"].as_array().expect("a list of clusters");
    let all = clusters(bootstrap);
    let is_shown = |cluster: &Value| shown.iter().any(|other| other["name"] == cluster["name"]);
    assert_eq!(
        all.iter().filter(|cluster| is_shown(cluster)).count(),
        shown.len(),
        "each has one of the bootstrap's names"
    );
    all.retain(|cluster| !is_shown(cluster));
    all.extend(shown.iter().cloned());
    let manager = bootstrap.pointer_mut(MANAGER).expect("a connection manager");
    let routes =
        manager.pointer_mut("/route_config/virtual_hosts/0/routes").and_then(Value::as_array_mut).expect("routes");
    let mut steered = 0;
    for route in routes.iter_mut().filter(|route| route["route"]["cluster_header"].is_string()) {
        route["route"]["retry_policy"] = block["retry_policy"].clone();
        steered += 1;
    }
    assert!(steered > 0, "no route follows the filter");
}

fn clusters(bootstrap: &mut Value) -> &mut Vec<Value> {
    bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut).expect("clusters")
}

/// Jason's request through an Envoy with the changed bootstrap, its ports moved to free ones.
fn ask(change: impl FnOnce(&mut Value)) -> Outcome {
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
            upstream.keep_all();
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
        let answer = client::send(envoy.listener("http").await, Protocol::Http1, &get).await;
        let version_headers =
            upstreams.iter().flat_map(|upstream| upstream.kept()).flat_map(|request| request.texts("x-canary-version"));
        Outcome { answer, version_headers: version_headers.collect() }
    })
}

fn port_value(port: u16) -> String {
    format!(r#""port_value":{port}}}"#)
}
