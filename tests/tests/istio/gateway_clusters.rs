//! Istiod with `PILOT_FILTER_GATEWAY_CLUSTER_CONFIG`: a gateway has the clusters of those services alone that its VirtualServices name, and
//! those that the EnvoyFilter's annotation adds.

use e2e::{
    client::Answer,
    istio::{
        istiod::Istiod,
        manifests,
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        world::{Manifest, SERVICE, World},
    },
    upstream::TEST_ID,
    wait,
};
use serde_json::{Value, json};

const NAMESPACE: &str = "few-clusters";
const ANNOTATION: &str = "envoyfilter.istio.io/referenced-services";

pub(crate) async fn are_those_of_the_rules_too(mesh: &Mesh) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let variables = [("PILOT_FILTER_GATEWAY_CLUSTER_CONFIG", "true")];
    let istiod = Istiod::start(&mesh.tools, &mesh.api, folder.path(), &variables).await;
    let service = Service::start(NAMESPACE, SERVICE, &["v1", "v2"]).await;
    let world = World::start_under(&istiod, mesh, NAMESPACE, Kind::Gateway, service, json!({})).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let [ratings, copies, nobody] = [
        Service::start(NAMESPACE, "ratings", &["v1"]).await,
        Service::start(NAMESPACE, "copies", &["v1"]).await,
        Service::start(NAMESPACE, "nobody", &["v1"]).await,
    ];
    for other in [&ratings, &copies, &nobody] {
        mesh.apply(&manifests::list(&other.manifests()));
    }
    let envoy = &world.proxy.envoy;
    let clusters = async |row: &str, others_are_there: bool| {
        envoy.wait_for_endpoints(&cluster(&world.service, "v2"), Some(1)).await;
        for service in [&ratings, &copies] {
            envoy.wait_for_endpoints(&cluster(service, "v1"), others_are_there.then_some(1)).await;
        }
        assert_eq!(envoy.endpoints(&cluster(&nobody, "v1")).await, None, "{row}: a service that nobody names");
    };

    // Mode cluster: one's own VirtualService names reviews alone.
    let rules = |mode: &str| document(&world, mode, &ratings, &copies);
    mesh.apply(&world.virtual_service(&json!([{"route": world.to("v2")}])));
    let is_native = |answer: &Answer| answer.served_by == "v2";
    world.proxy.until(world.port(), "the native route serves", &world.request("/"), is_native).await;
    clusters("without the filter", false).await;

    let plugin = world.plugin(Manifest::EnvoyFilter, &rules("cluster"), &[]);
    mesh.apply_text(&plugin);
    world.until_picked("v1", &world.request("/")).await;
    clusters("mode cluster", true).await;
    serves_all(&world, &ratings, &copies, "mode cluster").await;

    let removed = format!("{ANNOTATION}-");
    mesh.api.must(&["--namespace", NAMESPACE, "annotate", "envoyfilter", "canary", &removed], "");
    clusters("mode cluster without the annotation", false).await;
    let is_without = |answer: &Answer| answer.status == 503;
    world.proxy.until(world.port(), "no cluster for the route", &world.request("/ratings"), is_without).await;
    let answer = world.send(&world.request("/").header(TEST_ID, "no copy")).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "without its copy: {answer:?}");
    mesh.delete_text(&plugin);

    // Mode version: the VirtualService that is rendered names all of them.
    world.deploy(Manifest::WasmPlugin, &rules("version"));
    world.until_picked("v1", &world.request("/")).await;
    clusters("mode version", true).await;
    serves_all(&world, &ratings, &copies, "mode version").await;
    // The copy of a later request is there.
    assert_eq!(copies.version("v1").recorded("no copy").len(), 0);
    envoy.assert_no_crash();
}

/// Requests reach what they are for, and are copied.
async fn serves_all(world: &World<'_>, ratings: &Service, copies: &Service, row: &str) {
    let answer = world.send(&world.request("/ratings").header(TEST_ID, row)).await;
    assert_eq!((answer.status, ratings.version("v1").recorded(row).len()), (200, 1), "{row}: {answer:?}");
    let answer = world.send(&world.request("/").header(TEST_ID, row)).await;
    assert_eq!((answer.status, world.service.version("v1").recorded(row).len()), (200, 1), "{row}: {answer:?}");
    wait::until(&format!("{row}: the copy"), async || (copies.version("v1").recorded(row).len() == 1).then_some(()))
        .await;
}

fn cluster(service: &Service, version: &str) -> String {
    format!("outbound|{}|{version}|{}", service.port, service.host())
}

/// `/ratings` goes to another service, the rest to v1 of reviews, and is copied to a third.
fn document(world: &World<'_>, mode: &str, ratings: &Service, copies: &Service) -> Value {
    let to = |service: &Service| json!({"host": service.host(), "subset": "v1"});
    let mut document = world.document(
        mode,
        &json!([
            {"match": [{"uri": {"prefix": "/ratings"}}], "route": [{"destination": to(ratings)}]},
            {"route": world.to("v1"), "mirror": to(copies)},
        ]),
    );
    for service in [ratings, copies] {
        let port = json!({"host": service.name, "namespace": service.namespace, "ports": [service.port]});
        document["services"].as_array_mut().expect("services").push(port);
        let subsets = service.destination_rule(&["v1"]);
        document["destinationRules"].as_array_mut().expect("rules").push(subsets);
    }
    document
}
