//! Requests for a version that the mesh does not have, or that has no Pod.

use e2e::{
    client::Protocol,
    istio::{
        manifests,
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        world::{Manifest, SERVICE, World},
    },
    load::Load,
};
use serde_json::{Value, json};

const REQUESTS: u64 = 1000;
const CONNECTIONS: u64 = 4;

/// What is wrong with v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// No DestinationRule names it.
    Subset,
    /// No Pod has its label.
    Endpoints,
}

/// How many requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    None,
    /// Those that find it out.
    Few,
}

pub(crate) async fn loses_nothing_with_the_guard(mesh: &Mesh) {
    for (namespace, kind, lack, endpoints, lost) in [
        ("fallback-gw-subset", Kind::Gateway, Lack::Subset, "learned", Lost::None),
        ("fallback-sc-subset", Kind::Sidecar, Lack::Subset, "learned", Lost::None),
        ("fallback-gw-pods", Kind::Gateway, Lack::Endpoints, "trusted", Lost::None),
        ("fallback-sc-pods", Kind::Sidecar, Lack::Endpoints, "trusted", Lost::None),
        ("fallback-gw-learned", Kind::Gateway, Lack::Endpoints, "learned", Lost::Few),
    ] {
        check(mesh, namespace, kind, Manifest::EnvoyFilter, lack, endpoints, lost).await;
    }
}

pub(crate) async fn loses_few_without_it(mesh: &Mesh) {
    for (namespace, kind, manifest, lack) in [
        ("fallback-gw-wp-subset", Kind::Gateway, Manifest::WasmPlugin, Lack::Subset),
        ("fallback-sc-te-pods", Kind::Sidecar, Manifest::TrafficExtension, Lack::Endpoints),
    ] {
        check(mesh, namespace, kind, manifest, lack, "learned", Lost::Few).await;
    }
}

async fn check(mesh: &Mesh, namespace: &str, kind: Kind, manifest: Manifest, lack: Lack, endpoints: &str, lost: Lost) {
    let service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
    let statistics = json!({"proxyStatsMatcher": {"inclusionSuffixes": ["membership_total"]}});
    let world = World::start_with(mesh, namespace, kind, service, statistics).await;
    let found = match lack {
        Lack::Subset => world.service.destination_rule(&["v1"]),
        Lack::Endpoints => world.service.entry(&["v1"]),
    };
    mesh.apply(&manifests::list(&[found]));
    world.deploy(manifest, &document(&world, manifest, endpoints));
    world.until_picked("v1", &world.request("/v1")).await;
    let cluster = format!("outbound|{}|v2|{}", world.service.port, world.service.host());
    let expected = (lack == Lack::Endpoints).then_some(0);
    world.proxy.envoy.wait_for_endpoints(&cluster, expected).await;
    let address = world.proxy.port(world.port());
    let outcome = Load::start(address, Protocol::Http1, &world.request("/"), CONNECTIONS, REQUESTS).finish().await;
    let failed = outcome.failures.len() as u64;
    eprintln!("{namespace}: {lack:?} missing, {manifest:?}, {endpoints}: {REQUESTS} requests, {failed} failed");
    match lost {
        Lost::None => assert_eq!(failed, 0, "{namespace}: {:?}", outcome.failures),
        Lost::Few => assert!((1..=100).contains(&failed), "{namespace}: {failed} failed"),
    }
    assert_eq!(outcome.served("v1"), REQUESTS - failed, "{namespace}");
}

fn document(world: &World<'_>, manifest: Manifest, endpoints: &str) -> Value {
    let mode = if manifest == Manifest::EnvoyFilter { "cluster" } else { "version" };
    let mut document = world.document(
        mode,
        &json!([
            {"name": "v1", "match": [{"uri": {"exact": "/v1"}}], "route": world.to("v1")},
            // Natively a version is reached by rules that name it, if only with a weight of 0.
        {"name": "v2", "route": world.split(&[("v1", 0), ("v2", 100)])},
        ]),
    );
    document["policies"] = json!([{
        "hosts": [world.service.name],
        "namespace": world.namespace,
        "fallback": ["v2", "v1"],
        "defaultSubset": "v1",
    }]);
    document["guard"] = json!({"endpoints": endpoints});
    document
}
