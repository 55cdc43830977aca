//! Leaving mode version under load: the user's own VirtualService replaces the rendered one.

use std::time::Duration;

use e2e::{
    client::Protocol,
    istio::{
        mesh::Mesh,
        proxy::Kind,
        world::{Manifest, World},
    },
    load::{Kind as Traffic, Load},
    upstream::{TEST_ID, VERSION_HEADER},
};
use serde_json::{Value, json};

const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(2);
/// Requests after each step.
const ENOUGH: u64 = 200;
const ID: &str = "leaving";

/// In the order that the chapter tells: the plugin first.
pub(crate) async fn mode_version_loses_nothing(mesh: &Mesh) {
    let wrong = leave(mesh, "leaving", &[Step::Plugin, Step::Routes]).await;
    assert_eq!(wrong, 0, "requests whose upstream got the name of another version");
}

/// The routes first: no request fails, but the routes no longer follow the filter.
pub(crate) async fn mode_version_the_wrong_way_round_tells_upstreams_a_wrong_version(mesh: &Mesh) {
    let wrong = leave(mesh, "leaving-wrong", &[Step::Routes, Step::Plugin]).await;
    assert!(wrong > 0, "the order makes no difference, so the chapter need not tell one");
}

/// The objects that are removed.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The WasmPlugin and its EnvoyFilter.
    Plugin,
    /// The rendered VirtualService, by one's own, which sends all to v1.
    Routes,
}

/// The number of upstreams that got another version's name.
async fn leave(mesh: &Mesh, namespace: &str, steps: &[Step]) -> usize {
    let world = World::start(mesh, namespace, Kind::Gateway, &["v1", "v2"]).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let document = document(&world);
    world.deploy(Manifest::WasmPlugin, &document);
    world.until_picked("v2", &world.request("/").header("end-user", "jason")).await;
    let address = world.proxy.port(world.port());
    let request = world.request("/").header(TEST_ID, ID);
    let load = Load::paced(address, &Traffic::Http(Protocol::Http1, request), CONNECTIONS, PAUSE);
    load.until("both versions", |outcome| outcome.served("v1") > 0 && outcome.served("v2") > 0).await;
    for step in steps {
        match step {
            Step::Plugin => {
                mesh.delete_text(&world.plugin(Manifest::WasmPlugin, &document, &[]));
                world.proxy.until_configured("without the plugin", |dump| !dump.contains("canary-filter:")).await;
            }
            Step::Routes => {
                mesh.apply(&world.virtual_service(&json!([{"route": world.to("v1")}])));
                let matched = format!(r#""name": "{VERSION_HEADER}""#);
                let is_own = |dump: &str| !dump.contains(&matched);
                world.proxy.until_configured("its own VirtualService", is_own).await;
            }
        }
        load.go_on_for(ENOUGH).await;
    }
    let outcome = load.stop().await;
    let named_wrongly = world.service.versions().iter().flat_map(|version| {
        let named = version.recorded(ID).into_iter().flat_map(|request| request.texts(VERSION_HEADER));
        named.filter(|named| named != version.name()).collect::<Vec<_>>()
    });
    let named_wrongly = named_wrongly.count();
    eprintln!(
        "{steps:?}: {} requests, {} failed, {named_wrongly} named wrongly",
        outcome.all(),
        outcome.failures.len()
    );
    assert!(outcome.failures.is_empty(), "{steps:?}: {:?}", outcome.failures.first());
    world.proxy.envoy.assert_no_crash();
    named_wrongly
}

/// v2 for jason, and half of the others.
fn document(world: &World<'_>) -> Value {
    world.document(
        "version",
        &json!([
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": world.to("v2")},
            {"route": world.split(&[("v1", 50), ("v2", 50)])},
        ]),
    )
}
