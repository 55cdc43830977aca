//! A gateway that starts, restarts or runs while it cannot load the filter, until the cause is repaired.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use e2e::{
    client::{Protocol, Request},
    istio::{
        manifests,
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy},
        service::Service,
        world::{Manifest, PROXY, SERVICE, World, render},
    },
    load::{Kind as Traffic, Load, Outcome},
    ports,
    registry::raw,
    upstream::VERSION_HEADER,
    wait,
};
use serde_json::{Value, json};

use crate::gate::Gate;

/// The number of requests for each check.
const REQUESTS: u64 = 100;
const CONNECTIONS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(10);
/// The gateway that starts, and its Gateway.
const LATE: &str = "late";
const MODULE: &str = "canary-filter:0.2.0";
const CONFIGURATION: &str = "/spec/configPatches/0/patch/value/typed_config/config/configuration/value";
const DISCOVERY: &str = "/spec/configPatches/1/patch/value/config_discovery";

/// The fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    /// The filter rejects its configuration.
    Document,
    /// The registry does not answer.
    Registry,
    /// The registry has no such tag.
    Tag,
    /// The image has another digest.
    Digest,
    /// The image has no wasm module.
    Module,
}

/// The result of every request.
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
    /// Sends [`REQUESTS`] for which the filter picks v2 and the native routes v1; the client asks for v3.
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

/// A failure strategy, and its results for each fault: at a gateway that starts, and at one that had the filter before.
type Row = (&'static str, Does, Does);

use Does::{Bypass, Refuse, Steer};

// FAIL_OPEN is last, because its fallback filter stays. All manifests become the same filter, and the agent asks for FAIL_OPEN only: what differs
// is measured with a WasmPlugin, and the others where their own fields count.
pub(crate) async fn with_a_document_that_is_refused(mesh: &Mesh) {
    check(
        mesh,
        "start-doc-wp",
        Manifest::WasmPlugin,
        Bad::Document,
        FallbackFilter::Rendered,
        &[("FAIL_CLOSE", Refuse(500), Steer), ("FAIL_RELOAD", Refuse(500), Steer), ("FAIL_OPEN", Bypass, Steer)],
    )
    .await;
}

pub(crate) async fn with_a_document_that_other_manifests_bring(mesh: &Mesh) {
    for (namespace, manifest, rows) in [
        ("start-doc-te", Manifest::TrafficExtension, [("FAIL_OPEN", Bypass, Steer)].as_slice()),
        ("start-doc-ef", Manifest::EnvoyFilter, &[("FAIL_RELOAD", Refuse(500), Steer), ("FAIL_OPEN", Bypass, Steer)]),
    ] {
        check(mesh, namespace, manifest, Bad::Document, FallbackFilter::Rendered, rows).await;
    }
}

pub(crate) async fn with_a_document_that_is_refused_and_no_net(mesh: &Mesh) {
    for (namespace, manifest) in [("start-net-wp", Manifest::WasmPlugin), ("start-net-ef", Manifest::EnvoyFilter)] {
        check(mesh, namespace, manifest, Bad::Document, FallbackFilter::Without, &[("FAIL_OPEN", Refuse(500), Steer)])
            .await;
    }
}

pub(crate) async fn with_no_registry(mesh: &Mesh) {
    const CLOSE: Row = ("FAIL_CLOSE", Refuse(403), Steer);
    const RELOAD: Row = ("FAIL_RELOAD", Refuse(403), Steer);
    const OPEN: Row = ("FAIL_OPEN", Bypass, Steer);
    for (namespace, manifest, rows) in [
        ("start-reg-wp", Manifest::WasmPlugin, [CLOSE, RELOAD, OPEN].as_slice()),
        ("start-reg-ef", Manifest::EnvoyFilter, &[OPEN]),
    ] {
        check(mesh, namespace, manifest, Bad::Registry, FallbackFilter::Rendered, rows).await;
    }
}

pub(crate) async fn with_an_image_that_cannot_be_had(mesh: &Mesh) {
    const CLOSE: Row = ("FAIL_CLOSE", Refuse(403), Refuse(403));
    const RELOAD: Row = ("FAIL_RELOAD", Refuse(403), Refuse(403));
    const OPEN: Row = ("FAIL_OPEN", Bypass, Bypass);
    for (namespace, manifest, bad, rows) in [
        ("start-tag-wp", Manifest::WasmPlugin, Bad::Tag, [CLOSE, RELOAD, OPEN].as_slice()),
        ("start-tag-ef", Manifest::EnvoyFilter, Bad::Tag, &[OPEN]),
        ("start-digest-wp", Manifest::WasmPlugin, Bad::Digest, &[OPEN]),
        ("start-module-te", Manifest::TrafficExtension, Bad::Module, &[CLOSE]),
    ] {
        check(mesh, namespace, manifest, bad, FallbackFilter::Rendered, rows).await;
    }
}

/// Whether Envoy has a filter to go on with where it has none from Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FallbackFilter {
    /// As `canaryctl render` says, which is with FAIL_OPEN only.
    Rendered,
    Without,
}

async fn check(
    mesh: &Mesh,
    namespace: &str,
    manifest: Manifest,
    bad: Bad,
    fallback_filter: FallbackFilter,
    rows: &[Row],
) {
    let scene = Scene::start(mesh, namespace, manifest, bad, fallback_filter).await;
    let mut measured = Vec::new();
    for (strategy, _, _) in rows {
        measured.push(scene.measure(strategy).await);
    }
    assert_eq!(measured, rows, "{namespace}: strategy, at a start, where it ran");
}

/// One request in which the VM fails, then others.
pub(crate) async fn after_a_failure_of_the_filter(mesh: &Mesh) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("plugin.wasm");
    std::fs::write(&file, wat::parse_str(FAILS).expect("a module")).expect("write a module");
    mesh.registry.push(&file, "fails:0.2.0");
    let scene = Scene::start(mesh, "start-fails", Manifest::WasmPlugin, Bad::Document, FallbackFilter::Rendered).await;
    let (address, url) = (scene.world.proxy.port(GATEWAY_PORT), mesh.registry.url("fails:0.2.0"));
    let mut fatal = scene.request.clone();
    for number in 0..50 {
        fatal = fatal.header(&format!("x-{number}"), "x");
    }
    for (strategy, then) in [("FAIL_CLOSE", Refuse(503)), ("FAIL_RELOAD", Steer), ("FAIL_OPEN", Bypass)] {
        scene.deploy(strategy, &scene.render(&scene.document(), strategy, &url, &[])).await;
        let answer = scene.world.proxy.send(GATEWAY_PORT, &fatal).await;
        let (begin, load) = (Instant::now(), scene.load(address));
        match then {
            Steer => load.until("the VM is replaced", |outcome| outcome.served("v2") > 0).await,
            Bypass | Refuse(_) => load.go_on_for(REQUESTS).await,
        }
        let (took, outcome) = (begin.elapsed(), load.stop().await);
        let does = Does::now(strategy, address, &scene.request).await;
        eprintln!(
            "| a failure of the VM | {strategy} | itself {} | {:.1} s: {} | then {does} |",
            answer.status,
            took.as_secs_f64(),
            counts(&outcome),
        );
        assert_eq!(does, then, "{strategy}");
    }
}

/// Picks v2, and traps at a request with more than fifty headers.
const FAILS: &str = r#"(module
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "x-canary-versionv2")
  (func (export "_initialize"))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 1) (i32.const 50)) (then (unreachable)))
    (drop (call $replace (i32.const 0) (i32.const 16) (i32.const 16) (i32.const 32) (i32.const 2)))
    (i32.const 0)))"#;

/// A gateway that runs, and what is applied to it and to one that starts.
struct Scene<'m> {
    world: World<'m>,
    manifest: Manifest,
    bad: Bad,
    fallback_filter: FallbackFilter,
    gate: Gate,
    request: Request,
}

impl<'m> Scene<'m> {
    async fn start(
        mesh: &'m Mesh,
        namespace: &str,
        manifest: Manifest,
        bad: Bad,
        fallback_filter: FallbackFilter,
    ) -> Self {
        let service = Service::start(namespace, SERVICE, &["v1", "v2", "v3"]).await;
        // One worker: each has a VM of its own, which fails by itself.
        let configuration =
            json!({"concurrency": 1, "proxyStatsMatcher": {"inclusionPrefixes": ["extension_config_discovery"]}});
        let world = World::start_with(mesh, namespace, Kind::Gateway, service, configuration).await;
        let by_header = |version: &str| json!({"match": [{"headers": {VERSION_HEADER: {"exact": version}}}], "route": world.to(version)});
        let everybody = json!({"route": world.to("v1")});
        let native = match manifest {
            Manifest::EnvoyFilter => json!([everybody]),
            Manifest::WasmPlugin | Manifest::TrafficExtension => json!([by_header("v2"), by_header("v3"), everybody]),
        };
        let mut native = world.virtual_service(&native);
        native["spec"]["gateways"] = json!([PROXY, LATE]);
        mesh.apply(&native);
        let v3 = format!("outbound|{}|v3|{}", world.service.port, world.service.host());
        let request = world.request("/").header(VERSION_HEADER, "v3").header("x-canary-cluster", v3);
        let gate = Gate::new(mesh.registry.address());
        gate.open().await;
        Self { world, manifest, bad, fallback_filter, gate, request }
    }

    /// All requests go to v2. Natively they go to v1.
    fn document(&self) -> Value {
        let mode = if self.manifest == Manifest::EnvoyFilter { "cluster" } else { "version" };
        let mut document = self.world.document(mode, &json!([{"route": self.world.to("v2")}]));
        document["virtualServices"][0]["spec"]["gateways"] = json!([PROXY, LATE]);
        document
    }

    fn render(&self, document: &Value, strategy: &str, url: &str, flags: &[&str]) -> Vec<Value> {
        let selector = format!("app={PROXY}");
        let mut all = vec!["--name", "canary", "--namespace", &self.world.namespace, "--workload", "gateway"];
        all.extend(["--selector", &selector, "--fail-strategy", strategy, "--url", url]);
        all.extend(flags);
        let text = render(self.manifest.name(), document, &all);
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        if self.fallback_filter == FallbackFilter::Without {
            objects.truncate(1);
            objects[0]
                .pointer_mut(DISCOVERY)
                .and_then(Value::as_object_mut)
                .map(|fields| fields.remove("default_config"));
        }
        objects
    }

    /// Where nothing is wrong with the object any more, any change of it makes agents ask again.
    fn repaired(&self, strategy: &str) -> Vec<Value> {
        if self.bad != Bad::Registry {
            return self.good(strategy);
        }
        let mut objects = self.bad(strategy);
        objects[0]["metadata"]["annotations"] = json!({"asked": "again"});
        objects
    }

    fn apply(&self, objects: &[Value]) {
        self.world.mesh.apply(&manifests::list(objects));
    }

    fn url(&self) -> String {
        format!("oci://{}/{MODULE}", self.gate.address)
    }

    fn good(&self, strategy: &str) -> Vec<Value> {
        self.render(&self.document(), strategy, &self.url(), &[])
    }

    fn bad(&self, strategy: &str) -> Vec<Value> {
        let none = "0".repeat(64);
        let mut document = self.document();
        match self.bad {
            Bad::Document => {
                let mut objects = self.good(strategy);
                let object = &mut objects[0];
                let nonsense = json!({"virtualServices": "all"});
                match self.manifest {
                    Manifest::WasmPlugin => object["spec"]["pluginConfig"] = nonsense,
                    Manifest::TrafficExtension => object["spec"]["wasm"]["pluginConfig"] = nonsense,
                    Manifest::EnvoyFilter => {
                        *object.pointer_mut(CONFIGURATION).expect("a document") = json!(nonsense.to_string());
                    }
                }
                objects
            }
            // Another configuration, so that a running gateway gets an update, too.
            Bad::Registry => {
                document["virtualServices"][0]["spec"]["http"][0]["name"] = json!("renamed");
                self.render(&document, strategy, &self.url(), &[])
            }
            Bad::Tag => self.render(&document, strategy, &self.url().replace("0.2.0", "none"), &[]),
            Bad::Digest => self.render(&document, strategy, &self.url(), &["--sha256", &none]),
            Bad::Module => {
                let layers: [(&str, &[u8]); 2] = [
                    ("application/vnd.module.wasm.config.v1+json", b"{}"),
                    ("application/vnd.module.wasm.content.layer.v1+wasm", b"no module"),
                ];
                raw::push(self.world.mesh.registry.address(), "no-module", &layers);
                self.render(&document, strategy, &self.url().replace("0.2.0", "no-module"), &[])
            }
        }
    }

    async fn measure(&self, strategy: &'static str) -> Row {
        let row =
            format!("{:?} | {:?}, fallback filter {:?} | {strategy}", self.manifest, self.bad, self.fallback_filter);
        let mesh = self.world.mesh;
        let running = self.world.proxy.port(GATEWAY_PORT);
        self.deploy(strategy, &self.good(strategy)).await;
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
        let late = Proxy::start_at(mesh, address, &who).await;
        let ready = begin.elapsed();
        let starts = Does::now(&row, late.port(GATEWAY_PORT), &self.request).await;

        self.gate.open().await;
        let alone = Does::now(&row, late.port(GATEWAY_PORT), &self.request).await;
        assert_eq!(alone, starts, "{row}: no repair yet is visible to a proxy");
        self.apply(&self.repaired(strategy));
        let (begin, repaired) = (Instant::now(), self.load(late.port(GATEWAY_PORT)));
        repaired.until(&format!("{row}: repaired"), |outcome| outcome.served("v2") > 0).await;
        let took = begin.elapsed();
        let (repaired, outcome) = (repaired.stop().await, load.stop().await);

        if self.bad == Bad::Registry {
            // After a repair of the registry alone there is no further update.
            self.deploy(strategy, &self.good(strategy)).await;
        }
        self.break_it(strategy).await;
        let late = late.restart(mesh, &who).await;
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

    /// Applies what is right, and waits until the gateway that runs is steered by it.
    async fn deploy(&self, strategy: &str, objects: &[Value]) {
        self.apply_news(objects).await;
        let proxy = &self.world.proxy;
        if strategy == "FAIL_OPEN" && self.fallback_filter == FallbackFilter::Rendered {
            proxy.until_configured("the fallback filter", |dump| dump.contains("default_config")).await;
        }
        let what = format!("{strategy} steers in {}", self.world.namespace);
        proxy.until(GATEWAY_PORT, &what, &self.request, |answer| answer.served_by == "v2").await;
    }

    async fn break_it(&self, strategy: &str) {
        if self.bad == Bad::Registry {
            self.gate.close().await;
        }
        self.apply_news(&self.bad(strategy)).await;
    }

    /// Applies a new object, and waits until the running gateway has got it.
    async fn apply_news(&self, objects: &[Value]) {
        let before = update_count(&self.world.proxy).await;
        self.apply(objects);
        let what = format!("an update in {}", self.world.namespace);
        wait::until(&what, async || (update_count(&self.world.proxy).await > before).then_some(())).await;
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
}

fn counts(outcome: &Outcome) -> String {
    format!("{} requests: {:?} {:?}", outcome.all(), outcome.served_by, outcome.refused)
}

/// The number of accepted and rejected updates of the filter.
pub(crate) async fn update_count(proxy: &Proxy) -> u64 {
    let stats = proxy.envoy.admin("/stats?filter=^extension_config_discovery.*config_(reload|fail)$").await;
    stats.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
