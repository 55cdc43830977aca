//! An image in a registry that asks for a password, by `imagePullSecret`.

use e2e::{
    binaries,
    client::Answer,
    istio::{
        mesh::Mesh,
        proxy::Kind,
        world::{Manifest, World, render},
    },
    registry::{self, Options, PASSWORD, Registry},
    upstream::{TEST_ID, VERSION_HEADER},
};
use serde_json::{Value, json};

const NAMESPACE: &str = "pull-secret";
const SECRET: &str = "registry";

pub(crate) async fn opens_a_registry_with_a_password(mesh: &Mesh) {
    let registry = Registry::start_with(&Options { asks_who_it_is: true, ..Options::default() });
    let mut world = World::start(mesh, NAMESPACE, Kind::Gateway, &["v1", "v2"]).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let document = document(&world);
    mesh.apply_text(&render("virtualservice", &document, &[]));
    for (manifest, tag) in [(Manifest::WasmPlugin, "canary-filter:1"), (Manifest::TrafficExtension, "canary-filter:2")]
    {
        registry.push(&binaries::wasm(), tag);
        world.image = registry.url(tag);
        let plugin = |strategy| {
            let flags = ["--pull-secret", SECRET, "--fail-strategy", strategy];
            world.plugin(manifest, &document, &flags)
        };
        mesh.apply(&secret(&registry, "let me pass"));
        mesh.apply_text(&plugin("FAIL_CLOSE"));
        let what = format!("{manifest:?}, a wrong password");
        world.proxy.until(world.port(), &what, &world.request("/"), |answer| answer.status == 403).await;

        mesh.apply_text(&plugin("FAIL_OPEN"));
        let is_native = |answer: &Answer| answer.status == 200;
        world.proxy.until(world.port(), &format!("{what}, FAIL_OPEN"), &world.request("/"), is_native).await;
        let answer = world.send(&world.request("/").header(TEST_ID, &what)).await;
        let recorded = world.service.version(&answer.served_by).recorded(&what);
        assert!(recorded[0].texts(VERSION_HEADER).is_empty(), "{what}: the filter is there: {recorded:?}");

        // The plugin is not changed.
        mesh.apply(&secret(&registry, PASSWORD));
        world.until_picked("v2", &world.request("/").header("end-user", "jason")).await;
        mesh.delete_text(&plugin("FAIL_OPEN"));
    }
    world.proxy.envoy.assert_no_crash();
}

/// A Secret as `kubectl create secret docker-registry` makes it.
fn secret(registry: &Registry, password: &str) -> Value {
    let credentials = registry::credentials(registry.address(), password).to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": NAMESPACE, "name": SECRET},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": credentials},
    })
}

/// v2 for jason, v1 for the others.
fn document(world: &World<'_>) -> Value {
    world.document(
        "version",
        &json!([
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": world.to("v2")},
            {"route": world.to("v1")},
        ]),
    )
}
