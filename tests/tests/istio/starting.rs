//! What a gateway does that starts, starts anew or runs while it cannot have the filter, until that is repaired.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use e2e::{
    client::{Protocol, Request},
    istio::{
        manifests::{self, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy},
        service::Service,
        world::{Manifest, PROXY, SERVICE, World},
    },
    load::{Kind as Traffic, Load, Outcome},
    ports, wait,
};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};

/// Requests that show what is done to all.
const REQUESTS: u64 = 100;
const CONNECTIONS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(10);
/// The gateway that starts, and its Gateway.
const LATE: &str = "late";
const MODULE: &str = "canary-filter:0.1.0";
const CONFIGURATION: &str = "/spec/configPatches/0/patch/value/typed_config/config/configuration/value";
const DEFAULT: &str = "/spec/configPatches/1/patch/value/config_discovery";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    /// The filter refuses its document.
    Document,
    /// The registry does not answer.
    Registry,
    /// The registry has no such tag.
    Tag,
    /// The image has another digest.
    Digest,
    /// What the image holds is no module.
    Module,
}

/// What happens to every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// The filter decides.
    Steer,
    /// The native routes serve.
    Bypass,
    /// The proxy answers.
    Refuse(u16),
}

impl fmt::Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steer => f.write_str("0 failed, steered"),
            Self::Bypass => f.write_str("0 failed, native"),
            Self::Refuse(status) => write!(f, "all failed, {status}"),
        }
    }
}

impl Does {
    /// Sends [`REQUESTS`] for which the filter picks v2 and the native routes v1.
    async fn now(row: &str, address: SocketAddr, request: &Request) -> Self {
        let outcome = Load::start(address, Protocol::Http1, request, CONNECTIONS, REQUESTS).finish().await;
        let all = |count: u64| count == REQUESTS;
        let refused = outcome.refused.iter().find(|(_, count)| all(**count));
        match (outcome.served("v2"), outcome.served("v1"), refused) {
            (steered, _, _) if all(steered) => Self::Steer,
            (_, native, _) if all(native) => Self::Bypass,
            (_, _, Some((status, _))) => Self::Refuse(*status),
            _ => panic!("{row}: not the same for all: {:?}, {:?}", outcome.served_by, outcome.failures.first()),
        }
    }
}

/// A strategy, and what it makes of what is wrong: where a gateway starts, and where it had the filter before.
type Row = (&'static str, Does, Does);

use Does::{Bypass, Refuse, Steer};

pub(crate) async fn with_a_document_that_is_refused(mesh: &Mesh) {
    for (namespace, manifest) in [
        ("start-doc-wp", Manifest::WasmPlugin),
        ("start-doc-te", Manifest::TrafficExtension),
        ("start-doc-ef", Manifest::EnvoyFilter),
    ] {
        check(
            mesh,
            namespace,
            manifest,
            Bad::Document,
            Default::No,
            &[
                ("FAIL_OPEN", Refuse(500), Steer),
                ("FAIL_CLOSE", Refuse(500), Steer),
                ("FAIL_RELOAD", Refuse(500), Steer),
            ],
        )
        .await;
    }
}

pub(crate) async fn with_a_document_that_is_refused_and_a_default(mesh: &Mesh) {
    for (namespace, manifest) in [("start-def-ef", Manifest::EnvoyFilter), ("start-def-wp", Manifest::WasmPlugin)] {
        check(
            mesh,
            namespace,
            manifest,
            Bad::Document,
            Default::Allow,
            &[("FAIL_OPEN", Bypass, Steer), ("FAIL_CLOSE", Bypass, Steer), ("FAIL_RELOAD", Bypass, Steer)],
        )
        .await;
    }
}

pub(crate) async fn with_no_registry(mesh: &Mesh) {
    for (namespace, manifest) in [("start-reg-wp", Manifest::WasmPlugin), ("start-reg-ef", Manifest::EnvoyFilter)] {
        check(
            mesh,
            namespace,
            manifest,
            Bad::Registry,
            Default::No,
            &[("FAIL_OPEN", Bypass, Steer), ("FAIL_CLOSE", Refuse(403), Steer), ("FAIL_RELOAD", Refuse(403), Steer)],
        )
        .await;
    }
}

pub(crate) async fn with_an_image_that_cannot_be_had(mesh: &Mesh) {
    for (namespace, manifest, bad) in [
        ("start-tag-wp", Manifest::WasmPlugin, Bad::Tag),
        ("start-tag-ef", Manifest::EnvoyFilter, Bad::Tag),
        ("start-digest-wp", Manifest::WasmPlugin, Bad::Digest),
        ("start-module-te", Manifest::TrafficExtension, Bad::Module),
    ] {
        check(
            mesh,
            namespace,
            manifest,
            bad,
            Default::No,
            &[
                ("FAIL_OPEN", Bypass, Bypass),
                ("FAIL_CLOSE", Refuse(403), Refuse(403)),
                ("FAIL_RELOAD", Refuse(403), Refuse(403)),
            ],
        )
        .await;
    }
}

/// Whether Envoy has a filter to go on with where it has none from Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Default {
    No,
    /// One that allows everything.
    Allow,
}

async fn check(mesh: &Mesh, namespace: &str, manifest: Manifest, bad: Bad, default: Default, rows: &[Row]) {
    let scene = Scene::start(mesh, namespace, manifest, bad, default).await;
    let mut measured = Vec::new();
    for (strategy, _, _) in rows {
        measured.push(scene.measure(strategy).await);
    }
    assert_eq!(measured, rows, "{namespace}: strategy, at a start, where it ran");
}

/// A gateway that runs, and what is applied to it and to one that starts.
struct Scene<'m> {
    world: World<'m>,
    manifest: Manifest,
    bad: Bad,
    default: Default,
    gate: Gate,
    request: Request,
}

impl<'m> Scene<'m> {
    async fn start(mesh: &'m Mesh, namespace: &str, manifest: Manifest, bad: Bad, default: Default) -> Self {
        let service = Service::start(namespace, SERVICE, &["v1", "v2"]).await;
        let statistics = json!({"proxyStatsMatcher": {"inclusionPrefixes": ["extension_config_discovery"]}});
        let world = World::start_with(mesh, namespace, Kind::Gateway, service, statistics).await;
        let steered = json!({"headers": {"x-canary-version": {"exact": "v2"}}});
        let native = json!([{"match": [steered], "route": world.to("v2")}, {"route": world.to("v1")}]);
        let mut native = world.virtual_service(&native);
        native["spec"]["gateways"] = json!([PROXY, LATE]);
        mesh.apply(&native);
        let request = world.request("/");
        let gate = Gate::new(mesh.registry.address());
        gate.open().await;
        Self { world, manifest, bad, default, gate, request }
    }

    /// Everything to v2, which is natively for v1.
    fn document(&self) -> Value {
        let mode = if self.manifest == Manifest::EnvoyFilter { "cluster" } else { "version" };
        let mut document = self.world.document(mode, &json!([{"route": self.world.to("v2")}]));
        document["virtualServices"][0]["spec"]["gateways"] = json!([PROXY, LATE]);
        document
    }

    fn render(&self, document: &Value, strategy: &str, url: &str, flags: &[&str]) -> Value {
        let selector = format!("app={PROXY}");
        let mut all = vec!["--name", "canary", "--namespace", &self.world.namespace, "--workload", "gateway"];
        all.extend(["--selector", &selector, "--fail-strategy", strategy, "--url", url]);
        all.extend(flags);
        let text = self.world.render(self.manifest.name(), document, &all);
        let mut object: Value = serde_saphyr::from_str(&text).expect("YAML");
        if self.default == Default::Allow && self.manifest == Manifest::EnvoyFilter {
            *object.pointer_mut(DEFAULT).expect("the filter") = discovery();
        }
        object
    }

    fn url(&self) -> String {
        format!("oci://{}/{MODULE}", self.gate.address)
    }

    fn good(&self, strategy: &str) -> Value {
        self.render(&self.document(), strategy, &self.url(), &[])
    }

    fn bad(&self, strategy: &str) -> Value {
        let none = "0".repeat(64);
        let mut document = self.document();
        match self.bad {
            Bad::Document => {
                let mut object = self.good(strategy);
                let nonsense = json!({"virtualServices": "all"});
                match self.manifest {
                    Manifest::WasmPlugin => object["spec"]["pluginConfig"] = nonsense,
                    Manifest::TrafficExtension => object["spec"]["wasm"]["pluginConfig"] = nonsense,
                    Manifest::EnvoyFilter => {
                        *object.pointer_mut(CONFIGURATION).expect("a document") = json!(nonsense.to_string());
                    }
                }
                object
            }
            // Another document, so that a gateway that runs has news, too.
            Bad::Registry => {
                document["virtualServices"][0]["spec"]["http"][0]["name"] = json!("renamed");
                self.render(&document, strategy, &self.url(), &[])
            }
            Bad::Tag => self.render(&document, strategy, &self.url().replace("0.1.0", "none"), &[]),
            Bad::Digest => self.render(&document, strategy, &self.url(), &["--sha256", &none]),
            Bad::Module => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let file = folder.path().join("plugin.wasm");
                std::fs::write(&file, "no module").expect("write a file");
                self.world.mesh.registry.push(&file, "no-module:0.1.0");
                self.render(&document, strategy, &self.url().replace("canary-filter", "no-module"), &[])
            }
        }
    }

    /// Where the default filter of a plugin comes from.
    fn apply_default(&self) {
        if self.default == Default::No || self.manifest == Manifest::EnvoyFilter {
            return;
        }
        let namespace = &self.world.namespace;
        let name = format!("extensions.istio.io/trafficextension/{namespace}.canary~istio-translated-wasmplugin");
        let spec = json!({
            "workloadSelector": {"labels": {"app": PROXY}},
            "priority": 10,
            "configPatches": [{
                "applyTo": "HTTP_FILTER",
                "match": {
                    "context": "GATEWAY",
                    "listener": {"filterChain": {"filter": {
                        "name": "envoy.filters.network.http_connection_manager",
                        "subFilter": {"name": name},
                    }}},
                },
                "patch": {"operation": "REPLACE", "value": {"name": name, "config_discovery": discovery()}},
            }],
        });
        self.world.mesh.apply(&object("networking.istio.io/v1alpha3", "EnvoyFilter", namespace, "default", spec));
    }

    async fn measure(&self, strategy: &'static str) -> Row {
        let row = format!("{:?} | {:?}, default {:?} | {strategy}", self.manifest, self.bad, self.default);
        let mesh = self.world.mesh;
        let running = self.world.proxy.port(GATEWAY_PORT);
        mesh.apply(&self.good(strategy));
        self.apply_default();
        self.until_steered(&self.world.proxy, &row).await;
        let load = self.load(running);
        let address = ports::loopback(&[GATEWAY_PORT]);
        mesh.apply(&self.gateway(address));
        self.break_it(strategy).await;
        let runs = Does::now(&row, running, &self.request).await;

        let (namespace, begin) = (self.late(), Instant::now());
        let labels = [("app", PROXY), ("istio", namespace.as_str())];
        let who = Identity {
            kind: Kind::Gateway,
            namespace: &self.world.namespace,
            name: LATE,
            labels: &labels,
            ports: &[GATEWAY_PORT],
            configuration: json!({}),
        };
        let late = mesh.proxy_at(address, &who).await;
        let ready = begin.elapsed();
        let starts = Does::now(&row, late.port(GATEWAY_PORT), &self.request).await;

        self.gate.open().await;
        let alone = Does::now(&row, late.port(GATEWAY_PORT), &self.request).await;
        assert_eq!(alone, starts, "{row}: nothing is repaired yet that a proxy is told of");
        mesh.apply(&self.good(strategy));
        let (begin, repaired) = (Instant::now(), self.load(late.port(GATEWAY_PORT)));
        repaired.until(&format!("{row}: repaired"), |outcome| outcome.served("v2") > 0).await;
        let took = begin.elapsed();
        let (repaired, outcome) = (repaired.stop().await, load.stop().await);

        self.break_it(strategy).await;
        let late = mesh.restart(late, &who).await;
        let restarts = Does::now(&row, late.port(GATEWAY_PORT), &self.request).await;
        assert_eq!(restarts, starts, "{row}: a restart is a start");
        self.gate.open().await;
        eprintln!(
            "| {row} | starts in {:.1} s: {starts} | repaired in {:.1} s: {} | runs: {runs}: {} |",
            ready.as_secs_f64(),
            took.as_secs_f64(),
            counts(&repaired),
            counts(&outcome),
        );
        (strategy, starts, runs)
    }

    /// Applies what is wrong, and waits until the gateway that runs has heard of it.
    async fn break_it(&self, strategy: &str) {
        let before = news(&self.world.proxy).await;
        if self.bad == Bad::Registry {
            self.gate.close().await;
        }
        self.world.mesh.apply(&self.bad(strategy));
        let what = format!("{:?} is known in {}", self.bad, self.world.namespace);
        wait::until(&what, async || (news(&self.world.proxy).await > before).then_some(())).await;
    }

    fn load(&self, address: SocketAddr) -> Load {
        Load::paced(address, &Traffic::Http(Protocol::Http1, self.request.clone()), CONNECTIONS, PAUSE)
    }

    fn late(&self) -> String {
        format!("{}-late", self.world.namespace)
    }

    fn gateway(&self, address: Ipv4Addr) -> Value {
        let namespace = &self.world.namespace;
        manifests::gateway(namespace, LATE, address, GATEWAY_PORT, &self.late(), &["*"])
    }

    async fn until_steered(&self, proxy: &Proxy, row: &str) {
        let what = format!("{row}: steered");
        proxy.until(GATEWAY_PORT, &what, &self.request, |answer| answer.served_by == "v2").await;
    }
}

fn discovery() -> Value {
    json!({
        "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        "type_urls": [WASM, RBAC],
        "default_config": {"@type": RBAC},
    })
}

fn counts(outcome: &Outcome) -> String {
    format!("{} requests: {:?} {:?}", outcome.all(), outcome.served_by, outcome.refused)
}

/// How often the filter has been taken or refused.
pub(crate) async fn news(proxy: &Proxy) -> u64 {
    let stats = proxy.envoy.admin("/stats?filter=^extension_config_discovery.*config_(reload|fail)$").await;
    stats.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// A way to the registry that can be shut.
struct Gate {
    address: SocketAddr,
    registry: SocketAddr,
    relay: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    fn new(registry: SocketAddr) -> Self {
        let [address] = ports::free();
        Self { address, registry, relay: Mutex::new(None) }
    }

    /// Opens it unless it is.
    async fn open(&self) {
        let mut relay = self.relay.lock().await;
        if relay.is_some() {
            return;
        }
        let (listener, registry) =
            (TcpListener::bind(self.address).await.expect("the address of before"), self.registry);
        *relay = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut server = TcpStream::connect(registry).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        }));
    }

    /// Refuses connections from now on, and breaks those that there are.
    async fn close(&self) {
        if let Some(relay) = self.relay.lock().await.take() {
            relay.abort();
            let _ = relay.await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.relay.get_mut().iter().for_each(JoinHandle::abort);
    }
}
