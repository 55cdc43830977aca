//! Memory while versions come and go.

use e2e::{
    canary::NATIVE,
    client::{Protocol, Request},
    load::{Load, Outcome},
    scale,
};
use serde_json::{Value, json};

use super::{assert_none_lost, start};
use crate::Subject;

const CONNECTIONS: u64 = 4;
/// The number of configurations. Each has three versions of its own, and so three fallback counters.
const CONFIGURATIONS: u64 = 60;
/// The allowed growth in the second half, for counters and allocator noise. For each request it is less than any state needs.
const NOISE_KIB: u64 = 4 * 1_024;
const BYTES_PER_REQUEST: u64 = 64;

/// Versions of generation `number`: all but v1 are without a cluster.
fn document(number: u64) -> Value {
    let name = |version: u64| format!("g{number}-{version}");
    let subsets: Vec<_> = (0..3).map(name).chain(["v1".to_owned()]).collect();
    let subset = |name: &String| json!({"name": name, "labels": {"version": name}});
    let route = |name: &String| json!({"destination": {"host": "reviews", "subset": name}, "weight": 25});
    json!({
        "virtualServices": [{"metadata": {"name": "reviews", "namespace": "default"}, "spec": {
            "hosts": ["reviews"],
            "http": [{"route": subsets.iter().map(route).collect::<Vec<_>>()}],
        }}],
        "destinationRules": [{"metadata": {"name": "reviews", "namespace": "default"}, "spec": {
            "host": "reviews",
            "subsets": subsets.iter().map(subset).collect::<Vec<_>>(),
        }}],
        "services": [{"host": "reviews", "ports": [9080]}],
        "proxy": {"namespace": "default"},
        "policies": [{
            "hosts": ["reviews"],
            "fallback": [subsets[0], "v1"],
            "versionHeader": {"name": "x-version"},
            "failureAccrual": {"failureRatio": 0.5, "slowAfter": "30s"},
        }],
    })
}

pub(crate) async fn stays_flat_while_versions_come_and_go(subject: &Subject) {
    let (requests, configurations) = (subject.share_of(scale::pick(12_000, 240_000)), subject.share_of(CONFIGURATIONS));
    let each = requests / configurations;
    let canary = start(subject, &document(0), &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    let (mut all, mut warm) = (Outcome::default(), 0);
    for number in 1..=configurations {
        canary.take(&document(number)).await;
        // One of the present versions, one of the previous generation, and one that never existed.
        let asked = [format!("g{number}-0"), format!("g{}-0", number - 1), format!("never-{number}")];
        let loads = asked.map(|version| {
            let get = Request::new("reviews", "/").header("x-version", version);
            Load::start(canary.address, Protocol::Http1, &get, CONNECTIONS, each / 4)
        });
        let by_weight = Load::start(canary.address, Protocol::Http2, &Request::new("reviews", "/"), 1, each / 4);
        for load in loads.into_iter().chain([by_weight]) {
            let outcome = load.finish().await;
            *all.served_by.entry("v1".to_owned()).or_default() += outcome.served("v1");
            all.failures.extend(outcome.failures);
        }
        if number == configurations / 2 {
            warm = canary.envoy.resident_kib();
        }
    }
    let end = canary.envoy.resident_kib();
    assert_none_lost(&format!("{configurations} configurations"), &all);
    assert_eq!(all.served("v1"), requests, "all by the default");
    eprintln!("resident memory: {warm} KiB after half of {requests} requests, {end} KiB after all");
    let most = NOISE_KIB + requests / 2 * BYTES_PER_REQUEST / 1_024;
    assert!(end <= warm + most, "memory grows: {warm} KiB, then {end} KiB");
    canary.envoy.assert_no_crash();
}
