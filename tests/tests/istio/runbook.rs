//! `docs/make-before-break.md`: its commands lose no request. The wrong order loses some natively, and few or none with the
//! filter.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use e2e::{
    binaries,
    client::Protocol,
    istio::{
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        world::{Manifest, SERVICE, World},
    },
    load::{Kind as Traffic, Load, Outcome},
    wait,
};
use serde_json::json;

use crate::starting::update_count;

const DOCUMENT: &str = "docs/make-before-break.md";
/// The steps of the document, that of the beginning included.
const BLOCKS: usize = 9;
/// Those after which v2 serves, and after which it serves no more.
const ROUTED: usize = 4;
const UNROUTED: usize = 6;
const CONNECTIONS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(10);
/// Requests of each kind of client after each step.
const ENOUGH: u64 = 100;
const FEW: u64 = 5;
const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

pub(crate) async fn loses_nothing(mesh: &Mesh) {
    let world = start(mesh, "shop").await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let session = Session::of(&world);
    let text = fs::read_to_string(binaries::workspace().join(DOCUMENT)).expect("the runbook");
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), BLOCKS, "{DOCUMENT}: {blocks:#?}");
    let traffic = Clients::start(&world, async || {
        mesh.apply(&world.service.entry(&["v1"]));
        session.run(&blocks[0]);
    })
    .await;
    for (step, block) in blocks.iter().enumerate().skip(1) {
        session.run(block);
        match step {
            ROUTED => traffic.until_served("v2").await,
            UNROUTED => traffic.until_gone("v2").await,
            _ => traffic.go_on().await,
        }
    }
    for (protocol, outcome) in traffic.stop().await {
        print("right order, natively", protocol, &outcome);
        assert!(outcome.failures.is_empty(), "{protocol:?}: {:?}", outcome.failures.first());
        assert!(outcome.served("v2") >= FEW, "{protocol:?}: {:?}", outcome.served_by);
    }
}

pub(crate) async fn in_the_wrong_order_loses_requests(mesh: &Mesh) {
    for (protocol, outcome) in backwards(mesh, "wrong-native", None).await {
        print("wrong order, natively", protocol, &outcome);
        assert!(!outcome.failures.is_empty(), "{protocol:?}: the control loses nothing, so the runbook proves nothing");
    }
}

pub(crate) async fn in_the_wrong_order_loses_nothing_in_mode_cluster(mesh: &Mesh) {
    backwards_loses_nothing(mesh, "wrong-cluster", Manifest::EnvoyFilter).await;
}

pub(crate) async fn in_the_wrong_order_loses_nothing_in_mode_version(mesh: &Mesh) {
    backwards_loses_nothing(mesh, "wrong-version", Manifest::WasmPlugin).await;
}

async fn backwards_loses_nothing(mesh: &Mesh, namespace: &str, manifest: Manifest) {
    for (protocol, outcome) in backwards(mesh, namespace, Some(manifest)).await {
        print(&format!("wrong order, {}", manifest.name()), protocol, &outcome);
        assert!(outcome.failures.is_empty(), "{protocol:?}: {:?}", outcome.failures);
    }
}

pub(crate) fn print(label: &str, protocol: Protocol, outcome: &Outcome) {
    let failed = outcome.failures.len();
    eprintln!(
        "{label}, {protocol:?}: {} requests, {failed} failed {:?}, {:?}",
        outcome.all(),
        outcome.refused,
        outcome.served_by
    );
}

/// A gateway that tells how often its filters' configuration changed, before v1 and v2.
pub(crate) async fn start<'m>(mesh: &'m Mesh, namespace: &str) -> World<'m> {
    let service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
    let statistics = json!({"proxyStatsMatcher": {
        "inclusionSuffixes": ["membership_total"],
        "inclusionPrefixes": ["extension_config_discovery"],
    }});
    World::start_with(mesh, namespace, Kind::Gateway, service, statistics).await
}

/// The commands of the document, in its order.
fn blocks(text: &str) -> Vec<String> {
    text.split("\n```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

/// Where the document's commands are typed.
struct Session {
    folder: tempfile::TempDir,
}

impl Session {
    fn of(world: &World<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("write a file");
        write("with.json", world.service.entry(&["v1", "v2"]).to_string());
        write("without.json", world.service.entry(&["v1"]).to_string());
        let tools = &world.mesh.tools;
        let (kubectl, istioctl) = (tools.program("kubectl"), tools.program("istioctl"));
        let kubeconfig = world.mesh.api.kubeconfig();
        script(
            folder.path(),
            "kubectl",
            &KUBECTL.replace("REAL", &format!("{} --kubeconfig {}", kubectl.display(), kubeconfig.display())),
        );
        let admin = world.proxy.envoy.admin_address().to_string();
        script(
            folder.path(),
            "istioctl",
            &ISTIOCTL.replace("REAL", &istioctl.display().to_string()).replace("ADMIN", &admin),
        );
        Self { folder }
    }

    fn run(&self, commands: &str) {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("timeout");
        shell.args(["60", "sh", "-euc", commands]).current_dir(self.folder.path()).stdin(Stdio::null());
        let output = shell.env("PATH", path).env("PROXIES", "front-0.shop").env("LONGEST_REQUEST", "0").output();
        let output = output.expect("run a shell");
        assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// There is no kubelet: what a Deployment does to endpoints is done to those of the ServiceEntry.
const KUBECTL: &str = r#"#!/bin/sh
case "$*" in
"apply -f reviews-v2.yaml") set -- apply --server-side --force-conflicts -f with.json ;;
"delete -f reviews-v2.yaml") set -- apply --server-side --force-conflicts -f without.json ;;
"rollout status deployment/reviews-v2 "*) exit 0 ;;
esac
exec REAL "$@"
"#;

/// There are no Pods to ask through the API server: the proxy is asked at its own admin interface.
const ISTIOCTL: &str = r#"#!/bin/sh -e
kind=$2 proxy=$3
shift 3
case $kind in endpoints) path='clusters?format=json' ;; *) path=config_dump ;; esac
curl -sSf "http://ADMIN/$path" > "$proxy.$kind.json"
exec REAL proxy-config $kind --file "$proxy.$kind.json" "$@"
"#;

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).expect("write a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("an executable");
}

/// The load on the gateway.
pub(crate) struct Clients(Vec<(Protocol, Load)>);

impl Clients {
    /// Begins once all are served by v1 after `prepare`.
    pub(crate) async fn start(world: &World<'_>, prepare: impl AsyncFnOnce()) -> Self {
        prepare().await;
        let request = world.request("/");
        world.proxy.until(world.port(), "v1 serves", &request, |answer| answer.served_by == "v1").await;
        world.proxy.envoy.wait_for_endpoints(&cluster(world, "v2"), None).await;
        let address = world.proxy.port(world.port());
        let load = |protocol| Load::paced(address, &Traffic::Http(protocol, request.clone()), CONNECTIONS, PAUSE);
        Self(PROTOCOLS.map(|protocol| (protocol, load(protocol))).into())
    }

    pub(crate) async fn go_on(&self) {
        for (_, load) in &self.0 {
            load.go_on_for(ENOUGH).await;
        }
    }

    pub(crate) async fn until_served(&self, version: &str) {
        for (_, load) in &self.0 {
            let goal = load.so_far().served(version) + FEW;
            load.until(&format!("{version} serves"), |outcome| outcome.served(version) >= goal).await;
        }
        self.go_on().await;
    }

    pub(crate) async fn until_gone(&self, version: &str) {
        for (_, load) in &self.0 {
            wait::until(&format!("{version} serves no more"), async || {
                let before = load.so_far().served(version);
                load.go_on_for(ENOUGH / 2).await;
                (load.so_far().served(version) == before).then_some(())
            })
            .await;
        }
    }

    pub(crate) async fn stop(self) -> Vec<(Protocol, Outcome)> {
        let mut outcomes = Vec::new();
        for (protocol, load) in self.0 {
            outcomes.push((protocol, load.stop().await));
        }
        outcomes
    }
}

/// The cluster of a version.
pub(crate) fn cluster(world: &World<'_>, version: &str) -> String {
    format!("outbound|{}|{version}|{}", world.service.port, world.service.host())
}

/// v2 is added and removed in the wrong order: the route is added first and removed last.
async fn backwards(mesh: &Mesh, namespace: &str, manifest: Option<Manifest>) -> Vec<(Protocol, Outcome)> {
    let world = start(mesh, namespace).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let endpoints = |versions: &[&str]| mesh.apply(&world.service.entry(versions));
    let subsets = |versions: &[&str]| mesh.apply(&world.service.destination_rule(versions));
    let (v2, envoy) = (cluster(&world, "v2"), &world.proxy.envoy);
    let clients = Clients::start(&world, async || {
        endpoints(&["v1"]);
        subsets(&["v1"]);
        route(&world, manifest, &[("v1", 100)]).await;
    })
    .await;
    clients.go_on().await;

    let half = [("v1", 50), ("v2", 50)];
    route(&world, manifest, &half).await;
    clients.go_on().await;
    subsets(&["v1", "v2"]);
    envoy.wait_for_endpoints(&v2, Some(0)).await;
    clients.go_on().await;
    endpoints(&["v1", "v2"]);
    clients.until_served("v2").await;

    endpoints(&["v1"]);
    envoy.wait_for_endpoints(&v2, Some(0)).await;
    clients.go_on().await;
    subsets(&["v1"]);
    envoy.wait_for_endpoints(&v2, None).await;
    clients.go_on().await;
    route(&world, manifest, &[("v1", 100)]).await;
    clients.go_on().await;
    clients.stop().await
}

/// Routes by these shares, and waits until that is in force.
async fn route(world: &World<'_>, manifest: Option<Manifest>, shares: &[(&str, u32)]) {
    let rules = json!([{"route": world.split(shares)}]);
    let Some(manifest) = manifest else {
        world.mesh.apply(&world.virtual_service(&rules));
        let named = shares.iter().any(|(version, _)| *version == "v2");
        let what = format!("{shares:?} in the routes");
        return world.proxy.until_configured(&what, |dump| dump.contains(&cluster(world, "v2")) == named).await;
    };
    let before = update_count(&world.proxy).await;
    world.deploy(manifest, &world.falling_back(manifest, &rules));
    wait::until("another configuration", async || (update_count(&world.proxy).await > before).then_some(())).await;
}
