//! The actions of rules in every kind of proxy and with every manifest: versions, shares, faults and mirrors.

use std::time::{Duration, Instant};

use e2e::{
    client::Protocol,
    istio::{
        mesh::Mesh,
        proxy::Kind,
        world::{Manifest, World},
    },
    load::Load,
    proportion::{ALPHA, agrees},
    upstream::{TEST_ID, VERSION_HEADER},
    wait,
};
use serde_json::{Value, json};

const WEIGHTED: u64 = 1000;
const USERS: usize = 100;
const COPIED: usize = 20;
/// What a delay of 300 ms takes at least: Envoy's own timers know the time at which the loop woke up.
const DELAY: Duration = Duration::from_millis(290);
/// The versions of user-0 to user-99 at 80 to 20 without a salt, by the documented program.
const STICKY: &str =
    "1111111121111111111111111111121121121111211121211122111211121111111111111111221111111111212111111121";

pub(crate) async fn at_a_gateway_by_wasmplugin(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-gw-wp", Kind::Gateway, Manifest::WasmPlugin).await;
}

pub(crate) async fn at_a_gateway_by_trafficextension(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-gw-te", Kind::Gateway, Manifest::TrafficExtension).await;
}

pub(crate) async fn at_a_gateway_by_envoyfilter(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-gw-ef", Kind::Gateway, Manifest::EnvoyFilter).await;
}

pub(crate) async fn at_a_sidecar_by_wasmplugin(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-sc-wp", Kind::Sidecar, Manifest::WasmPlugin).await;
}

pub(crate) async fn at_a_sidecar_by_trafficextension(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-sc-te", Kind::Sidecar, Manifest::TrafficExtension).await;
}

pub(crate) async fn at_a_sidecar_by_envoyfilter(mesh: &Mesh) {
    does_what_the_rules_say(mesh, "routing-sc-ef", Kind::Sidecar, Manifest::EnvoyFilter).await;
}

async fn does_what_the_rules_say(mesh: &Mesh, namespace: &str, kind: Kind, manifest: Manifest) {
    let world = World::start(mesh, namespace, kind, &["v1", "v2", "v3"]).await;
    world.deploy(manifest, &document(&world, manifest));
    world.until_picked("v2", &world.request("/").header("end-user", "jason")).await;
    by_header(&world).await;
    by_weight(&world).await;
    by_user(&world).await;
    faults(&world).await;
    mirrors(&world).await;
    rewrites(&world).await;
    world.proxy.envoy.assert_no_crash();
}

fn document(world: &World<'_>, manifest: Manifest) -> Value {
    let mode = if manifest == Manifest::EnvoyFilter { "cluster" } else { "version" };
    let path = |path: &str| json!([{"uri": {"prefix": path}}]);
    let all = json!({"value": 100});
    let mut document = world.document(mode, &json!([
        {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": world.to("v2")},
        {"name": "split", "match": path("/split"), "route": world.split(&[("v1", 80), ("v2", 20)])},
        {"name": "abort", "match": path("/abort"), "fault": {"abort": {"httpStatus": 418, "percentage": all}}, "route": world.to("v1")},
        {"name": "delay", "match": path("/delay"), "fault": {"delay": {"fixedDelay": "0.3s", "percentage": all}}, "route": world.to("v2")},
        {"name": "mirror", "match": path("/mirror"), "mirror": {"host": world.service.host(), "subset": "v3"}, "route": world.to("v1")},
        {"name": "rewrite", "match": path("/old"), "rewrite": {"uri": "/new", "authority": "other.example"}, "route": world.to("v2")},
        {"name": "default", "route": world.to("v1")},
    ]));
    if (manifest, world.kind) == (Manifest::EnvoyFilter, Kind::Gateway) {
        document["faults"] = json!({"delay": "faultFilter"});
    }
    document["policies"] = json!([{
        "hosts": [world.service.name],
        "namespace": world.namespace,
        "defaultSubset": "v1",
        "sticky": {"keys": [{"header": "x-user-id"}]},
    }]);
    document
}

async fn by_header(world: &World<'_>) {
    for (name, header, value, version) in [
        ("jason", "end-user", "jason", "v2"),
        ("luffy", "end-user", "luffy", "v1"),
        ("a client that tries to steer", VERSION_HEADER, "v3", "v1"),
    ] {
        let answer = world.send(&world.request("/").header(header, value).header(TEST_ID, name)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, version), "{name}: {answer:?}");
        let recorded = world.service.version(version).recorded(name);
        assert_eq!(recorded.len(), 1, "{name}");
        assert_eq!(recorded[0].texts(VERSION_HEADER), [version], "{name}: the upstream gets the name of its version");
    }
}

async fn by_weight(world: &World<'_>) {
    let load = Load::start(world.proxy.port(world.port()), Protocol::Http1, &world.request("/split"), 4, WEIGHTED);
    let outcome = load.finish().await;
    eprintln!("{}: 80 to 20 of {WEIGHTED}: {:?}", world.namespace, outcome.served_by);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(agrees(outcome.served("v2"), WEIGHTED, 0.2, ALPHA), "{:?}", outcome.served_by);
    assert_eq!(outcome.served("v3"), 0);
}

/// The same user has the same version, by what the documents say of the bucket: in whichever proxy, by whichever manifest.
async fn by_user(world: &World<'_>) {
    let mut versions = Vec::new();
    for _ in 0..2 {
        let mut round = String::new();
        for user in 0..USERS {
            let request = world.request("/split").header("x-user-id", format!("user-{user}"));
            round.push_str(world.send(&request).await.served_by.trim_start_matches('v'));
        }
        versions.push(round);
    }
    assert_eq!(versions[0], versions[1], "again the same");
    assert_eq!(versions[0], STICKY, "users 0 to 99");
}

async fn faults(world: &World<'_>) {
    let before: u64 = world.service.versions().iter().map(|version| version.count()).sum();
    let answer = world.send(&world.request("/abort")).await;
    assert_eq!((answer.status, answer.body.as_str()), (418, "fault filter abort"), "{answer:?}");
    let after: u64 = world.service.versions().iter().map(|version| version.count()).sum();
    assert_eq!(before, after, "an aborted request goes to nobody");
    let begin = Instant::now();
    let answer = world.send(&world.request("/delay")).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{answer:?}");
    assert!(begin.elapsed() >= DELAY, "delayed by {:?} only", begin.elapsed());
}

async fn mirrors(world: &World<'_>) {
    let mirror = world.service.version("v3");
    for _ in 0..COPIED {
        let request = world.request("/mirror").header(TEST_ID, "copy");
        let answer = world.send(&request).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{answer:?}");
    }
    wait::until("the copies", async || (mirror.recorded("copy").len() >= COPIED).then_some(())).await;
    assert_eq!((mirror.recorded("copy").len(), world.service.version("v1").recorded("copy").len()), (COPIED, COPIED));
    assert_eq!(world.service.version("v2").recorded("copy").len(), 0);
}

async fn rewrites(world: &World<'_>) {
    let answer = world.send(&world.request("/old/1?a=b").header(TEST_ID, "rewrite")).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{answer:?}");
    let recorded = world.service.version("v2").recorded("rewrite");
    let found: Vec<_> = recorded.iter().map(|request| (request.path.as_str(), request.authority.as_str())).collect();
    assert_eq!(found, [("/new/1?a=b", "other.example")]);
}
