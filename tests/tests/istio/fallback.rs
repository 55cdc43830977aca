//! Requests for a version that the mesh does not have, that has no Pod, or that refuses connections.

use e2e::{
    client::{Answer, Protocol},
    istio::{
        manifests,
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        world::{Manifest, SERVICE, VERSION_HEADER, World},
    },
    load::{Load, Outcome},
    upstream::TEST_ID,
};
use serde_json::{Value, json};

const REQUESTS: u64 = 1000;
const CONNECTIONS: u64 = 4;
/// A port at which nothing listens.
const REFUSING: u16 = 1;

/// What is wrong with v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// No DestinationRule names it.
    Subset,
    /// No Pod has its label.
    Endpoints,
    /// Nothing listens at its endpoint.
    Listener,
}

pub(crate) async fn loses_nothing_in_mode_cluster(mesh: &Mesh) {
    for (namespace, kind, lack) in [
        ("cluster-gw-subset", Kind::Gateway, Lack::Subset),
        ("cluster-gw-pods", Kind::Gateway, Lack::Endpoints),
        ("cluster-gw-refuses", Kind::Gateway, Lack::Listener),
        ("cluster-sc-subset", Kind::Sidecar, Lack::Subset),
        ("cluster-sc-pods", Kind::Sidecar, Lack::Endpoints),
        ("cluster-sc-refuses", Kind::Sidecar, Lack::Listener),
    ] {
        check(mesh, namespace, kind, Manifest::EnvoyFilter, lack).await;
    }
}

pub(crate) async fn loses_nothing_in_mode_version(mesh: &Mesh) {
    for (namespace, kind, manifest, lack) in [
        ("version-gw-subset", Kind::Gateway, Manifest::WasmPlugin, Lack::Subset),
        ("version-gw-pods", Kind::Gateway, Manifest::TrafficExtension, Lack::Endpoints),
        ("version-gw-refuses", Kind::Gateway, Manifest::WasmPlugin, Lack::Listener),
        ("version-sc-subset", Kind::Sidecar, Manifest::TrafficExtension, Lack::Subset),
        ("version-sc-pods", Kind::Sidecar, Manifest::WasmPlugin, Lack::Endpoints),
        ("version-sc-refuses", Kind::Sidecar, Manifest::TrafficExtension, Lack::Listener),
    ] {
        check(mesh, namespace, kind, manifest, lack).await;
    }
}

/// Native routes to v2 lose every request, those of the filter none; v1 serves them, and is told that it is v1.
async fn check(mesh: &Mesh, namespace: &str, kind: Kind, manifest: Manifest, lack: Lack) {
    let service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
    let statistics = json!({"proxyStatsMatcher": {"inclusionSuffixes": ["membership_total"]}});
    let world = World::start_with(mesh, namespace, kind, service, statistics).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let found = match lack {
        Lack::Subset => world.service.destination_rule(&["v1"]),
        Lack::Endpoints => world.service.entry(&["v1"]),
        Lack::Listener => {
            let mut entry = world.service.entry(&["v1", "v2"]);
            entry["spec"]["endpoints"][1]["ports"][world.service.protocol] = json!(REFUSING);
            entry
        }
    };
    let rules = rules(&world);
    mesh.apply(&manifests::list(&[found, world.virtual_service(&rules)]));
    let v1 = |answer: &Answer| answer.served_by == "v1";
    world.proxy.until(world.port(), "v1 by the native route", &world.request("/v1"), v1).await;
    let cluster = format!("outbound|{}|v2|{}", world.service.port, world.service.host());
    let expected = match lack {
        Lack::Subset => None,
        Lack::Endpoints => Some(0),
        Lack::Listener => Some(1),
    };
    world.proxy.envoy.wait_for_endpoints(&cluster, expected).await;

    let native = load(&world).await;
    let case = format!("{namespace}: {kind:?}, {manifest:?}, {lack:?} missing");
    eprintln!("{case}: {REQUESTS} requests, natively {} failed", native.failures.len());
    assert_eq!(native.failures.len() as u64, REQUESTS, "{case}: the control arm loses less");

    world.deploy(manifest, &world.falling_back(manifest, &rules));
    world.until_picked("v1", &world.request("/v1")).await;
    let until = |answer: &Answer| answer.status == 200;
    world.proxy.until(world.port(), "the failover of v2", &world.request("/"), until).await;
    let outcome = load(&world).await;
    assert!(outcome.failures.is_empty(), "{case}: {:?}", outcome.failures);
    assert_eq!(outcome.served("v1"), REQUESTS, "{case}");
    let answer = world.send(&world.request("/").header(TEST_ID, "told")).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{case}");
    let recorded = world.service.version("v1").recorded("told");
    assert_eq!(recorded.len(), 1, "{case}");
    assert_eq!(recorded[0].texts(VERSION_HEADER), ["v1"], "{case}");
    world.proxy.envoy.assert_no_crash();
}

async fn load(world: &World<'_>) -> Outcome {
    let address = world.proxy.port(world.port());
    Load::start(address, Protocol::Http1, &world.request("/"), CONNECTIONS, REQUESTS).finish().await
}

fn rules(world: &World<'_>) -> Value {
    json!([
        {"name": "v1", "match": [{"uri": {"exact": "/v1"}}], "route": world.to("v1")},
        // Natively a version is reached by rules that name it, if only with a weight of 0.
        {"name": "v2", "route": world.split(&[("v1", 0), ("v2", 100)])},
    ])
}
