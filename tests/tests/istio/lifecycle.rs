//! Requests in flight while the plugin gets another configuration or image, or is deleted.

use std::{fs, time::Duration};

use e2e::{
    binaries,
    client::Protocol,
    istio::{
        mesh::Mesh,
        proxy::Kind,
        world::{Manifest, World},
    },
    load::{Kind as Traffic, Load, Outcome},
    wait,
};
use serde_json::{Value, json};

const TAG: &str = "0.2.0";
const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(2);
/// The requests after which a change is in force.
const ENOUGH: u64 = 200;

pub(crate) async fn of_a_wasmplugin_at_a_gateway(mesh: &Mesh) {
    of_a_plugin(mesh, "life-gw-wp", Kind::Gateway, Manifest::WasmPlugin).await;
}

pub(crate) async fn of_a_trafficextension_at_a_sidecar(mesh: &Mesh) {
    of_a_plugin(mesh, "life-sc-te", Kind::Sidecar, Manifest::TrafficExtension).await;
}

pub(crate) async fn of_an_envoyfilter_at_a_gateway(mesh: &Mesh) {
    of_a_plugin(mesh, "life-gw-ef", Kind::Gateway, Manifest::EnvoyFilter).await;
}

pub(crate) async fn of_an_envoyfilter_at_a_sidecar(mesh: &Mesh) {
    of_a_plugin(mesh, "life-sc-ef", Kind::Sidecar, Manifest::EnvoyFilter).await;
}

async fn of_a_plugin(mesh: &Mesh, namespace: &str, kind: Kind, manifest: Manifest) {
    let mut world = World::start(mesh, namespace, kind, &["v1", "v2"]).await;
    world.image = push(&world, TAG, &[]);
    let course = Course::start(world, manifest).await;
    course.edited("changed", &course.manifest("v2"), "v2").await;
    course.broken().await;
    course.edited("repaired", &course.manifest("v1"), "v1").await;
    course.updated().await;
    course.moved().await;
    course.removed().await;
    course.end().await;
}

/// Pushes the filter, with these bytes as a section that says nothing, under a tag of this namespace.
fn push(world: &World<'_>, tag: &str, section: &[u8]) -> String {
    let mut module = fs::read(binaries::wasm()).expect("the filter");
    if !section.is_empty() {
        // A custom section: 0, its length, the length of its name, the name.
        let length = u8::try_from(section.len()).expect("a short name");
        module.extend([0, length + 1, length]);
        module.extend(section);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("canary_filter.wasm");
    fs::write(&file, module).expect("write a module");
    let image = format!("{}:{tag}", world.namespace);
    world.mesh.registry.push(&file, &image);
    world.mesh.registry.url(&image)
}

/// Load on a world, and what is done to its plugin meanwhile.
struct Course<'m> {
    world: World<'m>,
    manifest: Manifest,
    load: Load,
}

impl<'m> Course<'m> {
    /// Brings the plugin, which sends all to v1. Natively v2 has all in mode cluster, and half in mode version.
    async fn start(world: World<'m>, manifest: Manifest) -> Self {
        let native = document(&world, manifest, [50, 50]);
        world.deploy(manifest, &native);
        world.mesh.apply_text(&world.plugin(manifest, &document(&world, manifest, [100, 0]), &[]));
        let request = world.request("/");
        world.until_picked("v1", &request).await;
        let load =
            Load::paced(world.proxy.port(world.port()), &Traffic::Http(Protocol::Http1, request), CONNECTIONS, PAUSE);
        let course = Self { world, manifest, load };
        course.until_only("v1").await;
        course.tell("begins", &Outcome::default());
        course
    }

    fn manifest(&self, version: &str) -> String {
        let weights = if version == "v1" { [100, 0] } else { [0, 100] };
        self.world.plugin(self.manifest, &document(&self.world, self.manifest, weights), &[])
    }

    /// Waits until [`ENOUGH`] requests in succession are served by this version alone.
    async fn until_only(&self, version: &str) {
        let what = format!("{}: {version} alone", self.world.namespace);
        wait::until(&what, async || {
            let before = self.load.so_far();
            self.load.go_on_for(ENOUGH).await;
            let after = self.load.so_far();
            let others = |outcome: &Outcome| outcome.successes() - outcome.served(version);
            (others(&before) == others(&after)).then_some(())
        })
        .await;
    }

    /// The plugin gets another configuration, by which this version serves.
    async fn edited(&self, what: &str, manifest: &str, version: &str) {
        let before = self.load.so_far();
        self.world.mesh.apply_text(manifest);
        self.until_only(version).await;
        self.tell(what, &before);
    }

    /// It gets a configuration that the filter rejects. The previous one stays in force.
    async fn broken(&self) {
        let (before, refusals) = (self.load.so_far(), self.refusals());
        let manifest = self.manifest("v1").replace("virtualServices", "virtualServicez");
        self.world.mesh.apply_text(&manifest);
        wait::until("the document is refused", async || (self.refusals() > refusals).then_some(())).await;
        self.load.go_on_for(ENOUGH).await;
        let after = self.load.so_far();
        assert_eq!(before.served("v1"), after.served("v1"), "the last good configuration serves");
        self.tell("broken", &before);
    }

    /// Istio does not export these statistics by default.
    fn refusals(&self) -> usize {
        self.world.proxy.envoy.log().matches("configuration rejected").count()
    }

    /// Another tag with another module, and the first one again; another version serves, to tell when it is in force.
    async fn updated(&self) {
        let first = self.world.proxy.modules().await;
        let next = push(&self.world, "next", b"next");
        let manifest = self.manifest("v2").replace(&self.world.image, &next);
        self.edited("another tag", &manifest, "v2").await;
        let second = self.world.proxy.modules().await;
        assert!(second.is_disjoint(&first), "another module: {first:?}, then {second:?}");
        self.edited("rolled back", &self.manifest("v1"), "v1").await;
        assert_eq!(self.world.proxy.modules().await, first, "the first module again");
    }

    /// Another image takes its tag. Where Istio pulls always, it does so when the object changes: its `spec`, or an annotation with
    /// istio.io in its name. Other annotations are no change to istiod.
    async fn moved(&self) {
        let name = self.manifest.name();
        let spec = match self.manifest {
            Manifest::WasmPlugin => r#"{"spec": {"imagePullPolicy": "Always"}}"#,
            Manifest::TrafficExtension => r#"{"spec": {"wasm": {"imagePullPolicy": "Always"}}}"#,
            // It knows no policy.
            Manifest::EnvoyFilter => return,
        };
        let before = self.load.so_far();
        let patch = |patch: &str| {
            let arguments =
                ["--namespace", &self.world.namespace, "patch", name, "canary", "--type", "merge", "--patch", patch];
            self.world.mesh.api.must(&arguments, "");
        };
        let old = self.world.proxy.modules().await;
        assert_eq!(old.len(), 1, "{old:?}");
        push(&self.world, TAG, b"moved");
        patch(spec);
        wait::until("the new image", async || (self.world.proxy.modules().await != old).then_some(())).await;
        self.until_only("v1").await;
        self.tell("tag moved, pulled always", &before);
        let (before, second) = (self.load.so_far(), self.world.proxy.modules().await);
        push(&self.world, TAG, b"moved again");
        self.load.go_on_for(ENOUGH).await;
        assert_eq!(self.world.proxy.modules().await, second, "nobody looks at the registry until the object changes");
        patch(r#"{"metadata": {"annotations": {"canary.istio.io/pulled": "again"}}}"#);
        wait::until("the newest image", async || (self.world.proxy.modules().await != second).then_some(())).await;
        self.until_only("v1").await;
        self.tell("tag moved, object annotated", &before);
    }

    /// The object is deleted: the native routes serve. Then what leads to the failover clusters goes, and then they do.
    async fn removed(&self) {
        let before = self.load.so_far();
        let (mesh, namespace, proxy) = (self.world.mesh, &self.world.namespace, &self.world.proxy);
        mesh.delete(namespace, self.manifest.name(), "canary");
        let native = |outcome: &Outcome| outcome.served("v2") > before.served("v2");
        self.load.until("the native routes serve", native).await;
        self.load.go_on_for(ENOUGH).await;
        let leads_there = |dump: &str| dump.contains(r#""cluster": "failover|"#);
        if self.manifest != Manifest::EnvoyFilter {
            proxy.until_configured("routes to failover clusters", leads_there).await;
            mesh.delete(namespace, "envoyfilter", "canary-failover-routes");
            proxy.until_configured("no routes to failover clusters", |dump| !leads_there(dump)).await;
        }
        mesh.delete(namespace, "envoyfilter", "canary-failover");
        proxy.until_configured("no failover clusters", |dump| !dump.contains("failover|")).await;
        self.load.go_on_for(ENOUGH).await;
        self.tell("removed", &before);
    }

    async fn end(self) {
        let outcome = self.load.stop().await;
        eprintln!("{}: {} requests in all, {} failed", self.world.namespace, outcome.all(), outcome.failures.len());
        assert!(outcome.failures.is_empty(), "{}: {:?}", self.world.namespace, outcome.failures);
    }

    fn tell(&self, what: &str, before: &Outcome) {
        let now = self.load.so_far();
        eprintln!(
            "{}: {what}: {} requests, {} failed, {} connections opened",
            self.world.namespace,
            now.all() - before.all(),
            now.failures.len() - before.failures.len(),
            now.connections - before.connections
        );
    }
}

fn document(world: &World<'_>, manifest: Manifest, weights: [u32; 2]) -> Value {
    let route = world.split(&[("v1", weights[0]), ("v2", weights[1])]);
    world.falling_back(manifest, &json!([{"route": route}]))
}
