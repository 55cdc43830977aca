//! Requests for a version that the mesh does not have, that has no Pod, or that refuses connections.

use e2e::{
    client::{Answer, Protocol, Request},
    grpc,
    istio::{
        manifests,
        mesh::Mesh,
        proxy,
        service::Service,
        world::{Manifest, SERVICE, World},
    },
    load::{ANSWERED_BY, CheckedKind, Kind, Load, Outcome},
    prometheus::Samples,
    upstream::{ECHO, ECHOED, VERSION_HEADER},
};
use serde_json::{Value, json};

/// Of each kind of client.
const REQUESTS: u64 = 400;
const CONNECTIONS: u64 = 4;
/// A port at which nothing listens.
const REFUSING: u16 = 1;

/// The fault of v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// No DestinationRule names it.
    Subset,
    /// No Pod has its label.
    Endpoints,
    /// Nothing listens at its endpoint.
    Listener,
}

/// A row: its namespace, the proxy, what brings the filter, the kind of failover clusters, what the service's port is named by, and
/// what v2 lacks.
type Row = (&'static str, proxy::Kind, Manifest, &'static str, &'static str, Lack);

pub(crate) async fn loses_nothing_in_mode_cluster(mesh: &Mesh) {
    use proxy::Kind::{Gateway, Sidecar};
    for row in [
        ("cluster-gw-subset", Gateway, Manifest::EnvoyFilter, "aggregate", "http", Lack::Subset),
        ("cluster-gw-pods", Gateway, Manifest::EnvoyFilter, "composite", "http", Lack::Endpoints),
        ("cluster-gw-refuses", Gateway, Manifest::EnvoyFilter, "aggregate", "grpc", Lack::Listener),
        ("cluster-sc-subset", Sidecar, Manifest::EnvoyFilter, "composite", "grpc", Lack::Subset),
        ("cluster-sc-pods", Sidecar, Manifest::EnvoyFilter, "aggregate", "grpc", Lack::Endpoints),
        ("cluster-sc-refuses", Sidecar, Manifest::EnvoyFilter, "composite", "http", Lack::Listener),
    ] {
        check(mesh, row).await;
    }
}

pub(crate) async fn loses_nothing_in_mode_version(mesh: &Mesh) {
    use proxy::Kind::{Gateway, Sidecar};
    for row in [
        ("version-gw-subset", Gateway, Manifest::WasmPlugin, "composite", "http", Lack::Subset),
        ("version-gw-pods", Gateway, Manifest::TrafficExtension, "aggregate", "grpc", Lack::Endpoints),
        ("version-gw-refuses", Gateway, Manifest::WasmPlugin, "composite", "grpc", Lack::Listener),
        ("version-sc-subset", Sidecar, Manifest::TrafficExtension, "aggregate", "http", Lack::Subset),
        ("version-sc-pods", Sidecar, Manifest::WasmPlugin, "composite", "http", Lack::Endpoints),
        ("version-sc-refuses", Sidecar, Manifest::TrafficExtension, "aggregate", "grpc", Lack::Listener),
    ] {
        check(mesh, row).await;
    }
}

/// Native routes to v2 lose every request, those of the filter none; v1 serves them, and client, upstream and metrics get that version.
async fn check(mesh: &Mesh, (namespace, kind, manifest, failover, protocol, lack): Row) {
    let mut service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
    service.protocol = protocol;
    // The tags make labels of what the names of the filter's metrics hold.
    let statistics = json!({"proxyStatsMatcher": {"inclusionSuffixes": ["membership_total"]},
                            "extraStatTags": ["host", "version", "reason", "from", "to"]});
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
    let rules = rules(&world, manifest);
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

    let row = format!("{namespace}: {manifest:?}, {failover}");
    for (name, kind) in kinds(&world) {
        let native = load(&world, (&kind).into()).await;
        eprintln!("{row}, {name}: {REQUESTS} requests, natively {} failed", native.failures.len());
        assert_eq!(native.failures.len() as u64, REQUESTS, "{row}, {name}: the control loses less");
    }

    world.deploy_with(manifest, &world.falling_back(manifest, &rules), &["--failover", failover]);
    world.until_picked("v1", &world.request("/v1")).await;
    let until = |answer: &Answer| answer.status == 200;
    world.proxy.until(world.port(), "the failover of v2", &world.request("/"), until).await;
    let before = counts(&world).await;
    // In mode version responses are those of the picked version's route.
    let reports: &[&str] = if manifest == Manifest::EnvoyFilter { &[ANSWERED_BY, ECHOED] } else { &[ECHOED] };
    let mut served = 0;
    for (name, kind) in kinds(&world) {
        let outcome = load(&world, kind.reporting(reports)).await;
        assert!(outcome.failures.is_empty(), "{row}, {name}: {:?}", outcome.failures.first());
        assert_eq!(outcome.served("v1"), REQUESTS, "{row}, {name}");
        served += REQUESTS;
    }
    let after = e2e::wait::until(&format!("{row}: the counts"), async || {
        let after = counts(&world).await;
        (after.0 >= before.0 + served).then_some(after)
    })
    .await;
    assert_eq!(after, (before.0 + served, before.1 + served), "{row}: requests of v1, and from v2 to v1");
    world.proxy.envoy.assert_no_crash();
}

/// v2 refuses connections. The version header of calls has the version that answered. Other requests keep their header.
pub(crate) async fn version_headers_are_those_of_their_protocol(mesh: &Mesh) {
    const HEADER: &str = "grpcsvc";
    for (namespace, manifest) in
        [("header-cluster", Manifest::EnvoyFilter), ("header-version", Manifest::TrafficExtension)]
    {
        let mut service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
        service.protocol = "grpc";
        let world = World::start_with(mesh, namespace, proxy::Kind::Gateway, service, json!({})).await;
        let _log = world.proxy.envoy.show_log_on_panic();
        let mut entry = world.service.entry(&["v1", "v2"]);
        entry["spec"]["endpoints"][1]["ports"]["grpc"] = json!(REFUSING);
        mesh.apply(&entry);
        let mut document = world.falling_back(manifest, &rules(&world, manifest));
        document["policies"][0]["versionHeader"] = json!({"name": HEADER, "protocols": ["grpc"]});
        world.deploy(manifest, &document);
        world.until_picked("v1", &world.request("/v1")).await;
        let get = world.request("/").header(HEADER, "mine").header(ECHO, HEADER);
        let served = |answer: &Answer| answer.status == 200;
        world.proxy.until(world.port(), "the failover of v2", &get, served).await;
        let answer = world.send(&get).await;
        assert_eq!((answer.served_by.as_str(), answer.values(ECHOED)), ("v1", vec!["mine".to_owned()]), "{namespace}");
        let address = world.proxy.port(world.port());
        let mut client = grpc::Client::open(address, &world.service.host()).await.expect("a channel");
        let called = client.unary(grpc::GET, &[(HEADER, "v2"), (ECHO, HEADER)]).await.expect("an answer");
        let echoed: Vec<_> = called.metadata.get_all(ECHOED).iter().map(|value| value.as_bytes()).collect();
        assert_eq!((called.messages, echoed), (vec!["v1".to_owned()], vec![&b"v1"[..]]), "{namespace}");
    }
}

fn kinds(world: &World<'_>) -> Vec<(&'static str, Kind)> {
    let get = || world.request("/").header(ECHO, VERSION_HEADER);
    let post = |request: Request| request.method("POST").body(vec![b'x'; 50_000]);
    let mut all = vec![("GET", Kind::Http(Protocol::Http1, get())), ("POST", Kind::Http(Protocol::Http2, post(get())))];
    if world.service.protocol == "grpc" {
        all.push(("gRPC unary", Kind::Unary(world.service.host())));
        all.push(("gRPC server streaming", Kind::Stream(world.service.host())));
    }
    all
}

/// Requests that count for v1, and those that went to it in the place of v2.
async fn counts(world: &World<'_>) -> (u64, u64) {
    let samples = Samples::of(&world.proxy.envoy).await;
    let of_v1 = samples.sum("canary_requests_total", &[("version", "v1")]);
    (of_v1, samples.sum("canary_fallbacks_total", &[("from", "v2"), ("to", "v1")]))
}

async fn load(world: &World<'_>, kind: CheckedKind) -> Outcome {
    Load::of(world.proxy.port(world.port()), kind, CONNECTIONS, REQUESTS).finish().await
}

/// In mode cluster each version names itself in the response; in mode version that is the picked one's route.
fn rules(world: &World<'_>, manifest: Manifest) -> Value {
    let mut split = world.split(&[("v1", 0), ("v2", 100)]);
    if manifest == Manifest::EnvoyFilter {
        for (place, version) in ["v1", "v2"].iter().enumerate() {
            split[place]["headers"] = json!({"response": {"set": {ANSWERED_BY: version}}});
        }
    }
    json!([
        {"name": "v1", "match": [{"uri": {"exact": "/v1"}}], "route": world.to("v1")},
        // Natively only rules that name a version can reach it, even with a weight of 0.
        {"name": "v2", "route": split},
    ])
}
