//! Routes of the Gateway API that read the version which the filter picks; the plugin is for a Gateway, by `targetRefs`.

use e2e::{
    client::{self, Protocol, Request},
    istio::{
        manifests::{self, PORT, object},
        mesh::Mesh,
        proxy::{Identity, Kind, Proxy},
        service::Service,
        world::render,
    },
    ports,
    upstream::{TEST_ID, VERSION_HEADER},
    wait,
};
use serde_json::{Value, json};

const NAMESPACE: &str = "gateway-api";
const GATEWAY: &str = "front";
const HOST: &str = "shop.example.com";

/// A Gateway, and the Service that istiod would make of it if it had a cluster to run the gateway in.
fn gateway(port: u16) -> [Value; 2] {
    let listener = json!({"name": "http", "port": port, "protocol": "HTTP"});
    let spec = json!({"gatewayClassName": "istio", "listeners": [listener]});
    let service = json!({
        "selector": {"gateway.networking.k8s.io/gateway-name": GATEWAY},
        "ports": [{"name": "http", "port": port, "targetPort": port}],
    });
    [
        object("gateway.networking.k8s.io/v1", "Gateway", NAMESPACE, GATEWAY, spec),
        object("v1", "Service", NAMESPACE, &format!("{GATEWAY}-istio"), service),
    ]
}

/// v2 where the filter says so, else v1: services of their own, since the Gateway API knows no subsets.
fn route(v1: &Service, v2: &Service) -> Value {
    let backend = |service: &Service| json!([{"group": "networking.istio.io", "kind": "Hostname", "name": service.host(), "port": service.port}]);
    object(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        NAMESPACE,
        "shop",
        json!({
            "parentRefs": [{"name": GATEWAY}],
            "hostnames": [HOST],
            "rules": [
                {"matches": [{"headers": [{"name": VERSION_HEADER, "value": "v2"}]}], "backendRefs": backend(v2)},
                {"backendRefs": backend(v1)},
            ],
        }),
    )
}

fn document() -> Value {
    let to = |subset: &str| json!([{"destination": {"host": "shop", "subset": subset}}]);
    let spec = json!({
        "hosts": [HOST],
        "gateways": [GATEWAY],
        "http": [
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")},
            {"route": to("v1")},
        ],
    });
    json!({
        "mode": "version",
        "virtualServices": [{"metadata": {"name": "shop", "namespace": NAMESPACE}, "spec": spec}],
        "destinationRules": [{"metadata": {"namespace": NAMESPACE}, "spec": {"host": "shop", "subsets": [{"name": "v1"}, {"name": "v2"}]}}],
    })
}

pub(crate) async fn an_httproute_reads_what_the_plugin_picks(mesh: &Mesh) {
    let (v1, v2) =
        (Service::start(NAMESPACE, "shop-v1", &["v1"]).await, Service::start(NAMESPACE, "shop-v2", &["v2"]).await);
    // Gateways of the Gateway API listen on every address.
    let [listener] = ports::free();
    mesh.apply(&manifests::namespace(NAMESPACE));
    let who = Identity {
        kind: Kind::Gateway,
        namespace: NAMESPACE,
        name: "front-istio",
        labels: &[("gateway.networking.k8s.io/gateway-name", GATEWAY)],
        ports: &[PORT],
        configuration: json!({}),
    };
    let mut objects = [v1.manifests(), v2.manifests()].concat();
    objects.extend(gateway(listener.port()));
    objects.push(route(&v1, &v2));
    mesh.apply(&manifests::list(&objects));
    let proxy = Proxy::start(mesh, &who).await;
    for what in ["wasmplugin", "trafficextension"] {
        let target = format!("Gateway/{GATEWAY}");
        let flags = ["--url", &mesh.image(), "--name", "canary", "--namespace", NAMESPACE, "--target-ref", &target];
        mesh.apply_text(&render(what, &document(), &flags));
        let request = |user: &str| Request::new(HOST, "/").header("end-user", user).header(TEST_ID, what);
        wait::until_steady(&format!("{what} picks the version"), async || {
            let answer = client::ask(listener, Protocol::Http1, &request("jason")).await?;
            (answer.served_by == "v2").then_some(())
        })
        .await;
        for (user, service, version) in [("jason", &v2, "v2"), ("luffy", &v1, "v1")] {
            let answer = client::send(listener, Protocol::Http1, &request(user)).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, version), "{what}, {user}: {answer:?}");
            let recorded = service.version(version).recorded(what);
            assert_eq!(
                recorded.last().map(|last| last.texts(VERSION_HEADER)),
                Some(vec![version.to_owned()]),
                "{what}, {user}"
            );
        }
        mesh.delete(NAMESPACE, what, "canary");
        proxy.until_configured("without the plugin", |dump| !dump.contains("canary-filter:")).await;
        // A worker may be a moment behind what the dump says.
        wait::until_steady(&format!("{what}: the route alone knows no jason"), async || {
            let answer = client::send(listener, Protocol::Http1, &request("jason")).await;
            (answer.served_by == "v1").then_some(())
        })
        .await;
    }
}
