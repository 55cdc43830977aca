//! The least: a gateway, a WasmPlugin, two versions.

use e2e::{
    client::Request,
    istio::{
        manifests::{self, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind},
        service::Service,
    },
};
use serde_json::json;

pub(crate) async fn a_gateway_routes_by_header(mesh: &Mesh) {
    let (namespace, name) = ("smoke", "gw");
    let reviews = Service::start(namespace, "reviews", &["v1", "v2"]).await;
    mesh.apply(&manifests::namespace(namespace));
    let who = Identity {
        kind: Kind::Gateway,
        namespace,
        name,
        labels: &[("istio", name)],
        ports: &[GATEWAY_PORT],
        configuration: json!({}),
    };
    let gateway = mesh.proxy(&who).await;
    let to = |subset: &str| json!([{"destination": {"host": reviews.host(), "subset": subset}}]);
    let rules = json!([
        {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")},
        {"route": to("v1")},
    ]);
    let native = json!([
        {"match": [{"headers": {"x-canary-version": {"exact": "v2"}}}], "route": to("v2")},
        {"route": to("v1")},
    ]);
    let service = |http: serde_json::Value| json!({"hosts": ["shop.example.com"], "gateways": [name], "http": http});
    let plugin = object(
        "extensions.istio.io/v1alpha1",
        "WasmPlugin",
        namespace,
        "canary",
        json!({
            "selector": {"matchLabels": {"istio": name}},
            "url": mesh.image(),
            "failStrategy": "FAIL_RELOAD",
            "match": [{"mode": "CLIENT"}],
            "pluginConfig": {
                "mode": "version",
                "virtualServices": [{"metadata": {"name": "shop", "namespace": namespace}, "spec": service(rules)}],
                "destinationRules": [{"spec": {"host": reviews.host(), "subsets": [{"name": "v1"}, {"name": "v2"}]}}],
                "proxy": {"gateways": [format!("{namespace}/{name}")]},
            },
        }),
    );
    let mut objects = reviews.manifests();
    objects.extend([
        manifests::gateway(namespace, name, gateway.address, &["*"]),
        object("networking.istio.io/v1", "VirtualService", namespace, "shop", service(native)),
        plugin,
    ]);
    mesh.apply(&manifests::list(&objects));
    let request = |user: &str| Request::new("shop.example.com", "/").header("end-user", user);
    gateway.until(GATEWAY_PORT, "jason gets v2", &request("jason"), |answer| answer.served_by == "v2").await;
    for (user, version) in [("jason", "v2"), ("luffy", "v1")] {
        let answer = gateway.send(GATEWAY_PORT, &request(user)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, version), "{user}: {answer:?}");
    }
    gateway.envoy.assert_no_crash();
}
