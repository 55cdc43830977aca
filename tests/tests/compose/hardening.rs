//! The permissions of the containers, and their reachable ports.

use std::{fs, time::Duration};

use e2e::{binaries, wait};
use serde_json::{Value, json};

use crate::project::{Project, docker, run};

fn inspected(project: &Project) -> Vec<Value> {
    let containers = project.containers(None);
    assert!(containers.len() > 10, "containers of all services: {containers:?}");
    let arguments: Vec<&str> = ["inspect"].into_iter().chain(containers.iter().map(String::as_str)).collect();
    serde_json::from_slice(&docker(&arguments)).expect("JSON")
}

pub(crate) async fn is_up_within_a_minute(project: &Project) {
    println!("up after {:?}", project.start);
    assert!(project.start < Duration::from_secs(60), "up only after {:?}", project.start);
}

pub(crate) async fn containers_may_do_little(project: &Project) {
    for container in inspected(project) {
        let name = container["Name"].as_str().unwrap_or_default();
        let host = &container["HostConfig"];
        for (what, found, expected) in [
            ("privileged", &host["Privileged"], json!(false)),
            ("a root file system to write to", &host["ReadonlyRootfs"], json!(true)),
            ("capabilities dropped", &host["CapDrop"], json!(["ALL"])),
            ("capabilities", &host["CapAdd"], Value::Null),
            ("new privileges", &host["SecurityOpt"], json!(["no-new-privileges:true"])),
            ("user", &container["Config"]["User"], json!("65532:65532")),
        ] {
            assert_eq!(*found, expected, "{name}: {what}");
        }
        for mount in container["Mounts"].as_array().into_iter().flatten() {
            let is_what_rules_writes = mount["Destination"] == "/xds" && name.contains("rules");
            assert_eq!(mount["RW"], json!(is_what_rules_writes), "{name}: {mount}");
        }
    }
}

pub(crate) async fn containers_are_well(project: &Project) {
    wait::until("every container is healthy", async || {
        let is_well = |container: &Value| container["State"]["Health"]["Status"] == "healthy";
        inspected(project).iter().all(is_well).then_some(())
    })
    .await;
}

pub(crate) async fn images_are_small_and_hold_what_is_built(project: &Project) {
    const DEMO: &str = "canary-filter/demo:local";
    const FILTER: &str = "canary-filter/filter:local";
    let wasm = fs::read(binaries::wasm()).expect("the filter");
    let demo = fs::metadata(binaries::workspace().join("dist/canaryctl")).expect("dist/canaryctl").len();
    for (image, bytes) in [(DEMO, demo), (FILTER, wasm.len() as u64)] {
        let found: Value = serde_json::from_slice(&docker(&["image", "inspect", image])).expect("JSON");
        // A file and no system around it.
        assert!(found[0]["Size"].as_u64().is_some_and(|size| size < bytes + 100_000), "{image}: {}", found[0]["Size"]);
        assert!(bytes < 16 << 20, "{image}: {bytes} bytes");
    }
    let container = docker(&["create", FILTER, "nothing"]);
    let container = String::from_utf8_lossy(&container).trim().to_owned();
    let copy = project.path("plugin.wasm");
    let copied = run(&["cp", &format!("{container}:/plugin.wasm"), &copy.display().to_string()]);
    docker(&["rm", &container]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert!(fs::read(copy).expect("the copy") == wasm, "{FILTER} holds the filter that was built");
}

pub(crate) async fn ports_are_for_this_machine_only(project: &Project) {
    let mut published = 0;
    for container in inspected(project) {
        let ports = container["NetworkSettings"]["Ports"].as_object().cloned().unwrap_or_default();
        for binding in ports.values().filter_map(Value::as_array).flatten() {
            assert_eq!(binding["HostIp"], "127.0.0.1", "{}", container["Name"]);
            published += 1;
        }
    }
    assert_eq!(published, 4, "Envoy's listener and admin interface, the board, and Prometheus");
}
