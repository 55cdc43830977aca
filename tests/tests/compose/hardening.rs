//! What the containers may do, and who reaches them.

use std::time::Duration;

use e2e::wait;
use serde_json::{Value, json};

use crate::project::{Project, docker};

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
