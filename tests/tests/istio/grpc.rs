//! The gRPC service of `envoy-configs/examples/grpc-versions` at the ingress gateway, as it is described there.

use e2e::{
    client::{self, Protocol},
    example::Example,
    grpc,
    istio::{
        istiod::ROOT_NAMESPACE,
        manifests::{self, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy},
        service::Service,
        world::render,
    },
    wait,
};
use serde_json::{Value, json};

const NAMESPACE: &str = "engines";
const SERVICE: &str = "grpc-manifest";
const HOST: &str = "grpc.example.com";
const PORT: u16 = 50051;
const VERSIONS: [&str; 4] = ["v1", "v2", "v3", "v4"];

pub(crate) async fn clients_name_their_version(mesh: &Mesh) {
    let _ingress = mesh.ingress.lock().await;
    let mut service = Service::start(NAMESPACE, SERVICE, &VERSIONS).await;
    (service.port, service.protocol, service.label) = (PORT, "grpc", "app.kubernetes.io/tag");
    mesh.apply(&manifests::namespace(NAMESPACE));
    let who = Identity {
        kind: Kind::Gateway,
        namespace: ROOT_NAMESPACE,
        name: "istio-ingressgateway",
        labels: &[("app", "istio-ingressgateway"), ("istio", "ingressgateway")],
        ports: &[GATEWAY_PORT],
        configuration: json!({}),
    };
    let gateway = Proxy::start(mesh, &who).await;
    mesh.apply(&manifests::list(&[
        manifests::gateway(NAMESPACE, "grpc-gateway", gateway.address, GATEWAY_PORT, "ingressgateway", &[HOST]),
        labelled(service.entry(&VERSIONS)),
    ]));
    for (name, what) in [
        ("grpc-versions/01-rules-by-header", "wasmplugin"),
        ("grpc-versions/01-rules-by-header", "trafficextension"),
        ("grpc-versions/01-rules-by-header", "envoyfilter"),
        ("grpc-versions/02-one-rule", "envoyfilter"),
    ] {
        let example = Example::read(name);
        check(mesh, &gateway, &service, &example, what).await;
    }
}

/// The endpoints with the label that all subsets have in common.
fn labelled(mut entry: Value) -> Value {
    for endpoint in entry["spec"]["endpoints"].as_array_mut().expect("endpoints") {
        endpoint["labels"]["app.kubernetes.io/instance"] = json!(SERVICE);
    }
    entry
}

async fn check(mesh: &Mesh, gateway: &Proxy, service: &Service, example: &Example, what: &str) {
    let id = format!("{} by {what}", example.name);
    let mode = if what == "envoyfilter" { "cluster" } else { "version" };
    let mut document = example.document.clone();
    document["mode"] = json!(mode);
    let native = |field: &str, kind: &str| {
        let found = document[field].as_array().expect("objects").iter();
        let objects = found.map(|found| {
            let name = found["metadata"]["name"].as_str().expect("a name");
            object("networking.istio.io/v1", kind, NAMESPACE, name, found["spec"].clone())
        });
        manifests::list(&objects.collect::<Vec<_>>())
    };
    mesh.apply(&native("destinationRules", "DestinationRule"));
    match mode {
        "version" => mesh.apply_text(&render("virtualservice", &document, &[])),
        _ => mesh.apply(&native("virtualServices", "VirtualService")),
    }
    let flags = ["--url", &mesh.image(), "--name", "engines", "--namespace", ROOT_NAMESPACE];
    mesh.apply_text(&render(what, &document, &flags));
    let listener = gateway.port(GATEWAY_PORT);
    wait::until_steady(&format!("{id}: an unknown version becomes v1"), async || {
        let mut client = grpc::Client::open(listener, HOST).await.ok()?;
        service.version("v1").forget();
        let answer = client.call(grpc::GET, &[("grpcsvc", "v9"), ("x-test-id", &id)]).await.ok()?;
        let recorded = service.version("v1").recorded(&id);
        (answer == "v1" && recorded.first()?.texts("grpcsvc") == ["v1"]).then_some(())
    })
    .await;
    let mut client = grpc::Client::open(listener, HOST).await.expect("a channel");
    for (sent, expected) in [("v1", "v1"), ("v2", "v2"), ("v3", "v3"), ("v4", "v4"), ("v9", "v1"), ("", "v1")] {
        let metadata = [("grpcsvc", sent)];
        assert_eq!(client.call(grpc::GET, &metadata).await.expect("an answer"), expected, "{id}: unary, {sent:?}");
        let messages = client.stream(grpc::LIST, &metadata).await.expect("a stream").messages;
        assert_eq!(messages, vec![expected; grpc::MESSAGES], "{id}: stream, {sent:?}");
    }
    for row in example.rows.iter().filter(|row| row.question.gateway.is_none()) {
        let answer = client::send(listener, Protocol::Http2, &row.request()).await;
        match row.text("version") {
            Some(version) => assert_eq!(answer.served_by, version, "{id}: {}: {answer:?}", row.name()),
            // Where no rule matches, and where no VirtualService takes the host: 404, or what that is to gRPC.
            None => assert_eq!(answer.served_by, "", "{id}: {}: {answer:?}", row.name()),
        }
    }
    mesh.delete(ROOT_NAMESPACE, what, "engines");
    wait::until(&format!("{id}: gone"), async || {
        (!gateway.envoy.admin("/config_dump").await.contains("canary-filter:")).then_some(())
    })
    .await;
}
