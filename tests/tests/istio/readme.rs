//! Runs the commands of the page that installs the filter in Istio.

use std::fs;

use e2e::{
    binaries::{canaryctl, workspace},
    canaryctl::Server,
    example::read_yaml,
    istio::{
        istiod::ROOT_NAMESPACE,
        manifests::{self, PORT, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy},
    },
    pages::{ISTIO, ISTIO_SECTIONS, Page, document::Step, walk},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::manifests::IMAGE;

/// Where the page takes things to be.
const NAMESPACE: &str = "default";
const GATEWAY: &str = "bookinfo-gateway";
const DEPLOYMENT: &str = "istio-ingressgateway";
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

pub(crate) async fn every_command_has_the_output_that_is_shown(mesh: &Mesh) {
    let _ingress = mesh.ingress.lock().await;
    let reader = Reader::start(mesh).await;
    let page = Page::read(ISTIO);
    for section in ISTIO_SECTIONS {
        let steps = page.steps_of(section);
        assert!(!steps.is_empty(), "{section} has commands");
        for step in &steps {
            reader.carry_out(step).await;
        }
    }
    reader.gateway.envoy.assert_no_crash();
}

/// A reader of the page, with Bookinfo's reviews and an ingress gateway.
struct Reader<'m> {
    mesh: &'m Mesh,
    gateway: Proxy,
    folder: TempDir,
    _versions: Vec<Server>,
}

impl<'m> Reader<'m> {
    async fn start(mesh: &'m Mesh) -> Self {
        let nowhere = ([127, 0, 0, 1], 1).into();
        let versions: Vec<Server> =
            VERSIONS.map(|version| Server::echo(&format!("reviews/{version}"), &[], nowhere)).into();
        let who = Identity {
            kind: Kind::Gateway,
            namespace: ROOT_NAMESPACE,
            name: DEPLOYMENT,
            labels: &[("istio", "ingressgateway")],
            ports: &[GATEWAY_PORT],
            configuration: annotation(),
        };
        let gateway = Proxy::start(mesh, &who).await;
        let hosts = ["reviews.example.com"];
        let mut objects = service(&versions);
        objects.extend([
            manifests::gateway(NAMESPACE, GATEWAY, gateway.address, GATEWAY_PORT, "ingressgateway", &hosts),
            deployment(),
        ]);
        mesh.apply(&manifests::list(&objects));
        Self { mesh, gateway, folder: tempfile::tempdir().expect("a temporary folder"), _versions: versions }
    }

    async fn carry_out(&self, step: &Step) {
        let is_question = ["curl ", "istioctl "].iter().any(|command| step.command.starts_with(command));
        walk::carry_out(step, is_question, async || self.here(&step.command).await).await;
    }

    /// A command for this mesh. There is no Pod whose proxy `istioctl` could ask, so it gets what that would answer.
    async fn here(&self, command: &str) -> String {
        let dump = self.folder.path().join("config_dump.json");
        fs::write(&dump, self.gateway.envoy.admin("/config_dump").await).expect("write a dump");
        let program = |name: &str| format!("'{}'", self.mesh.tools.program(name).display());
        let kubectl = format!("{} --kubeconfig '{}'", program("kubectl"), self.mesh.api.kubeconfig().display());
        let pod = format!("deployment/{DEPLOYMENT} --namespace {ROOT_NAMESPACE}");
        let mut here = command.to_owned();
        if let Some(arguments) = command.strip_prefix("istioctl ") {
            here =
                format!("{} {}", program("istioctl"), arguments.replace(&pod, &format!("--file '{}'", dump.display())));
        }
        for (theirs, ours) in [
            ("target/debug/canaryctl", format!("'{}'", canaryctl().display())),
            ("| kubectl ", format!("| {kubectl} ")),
            (IMAGE, self.mesh.image()),
            ("$GATEWAY", self.gateway.port(GATEWAY_PORT).to_string()),
        ] {
            here = here.replace(theirs, &ours);
        }
        match here.strip_prefix("kubectl ") {
            Some(arguments) => format!("{kubectl} {arguments}"),
            None => here,
        }
    }
}

/// What the shipped annotation says of a proxy.
fn annotation() -> Value {
    let patch = read_yaml(&workspace().join("envoy-configs/istio/proxy-config.yaml"));
    let text = patch.pointer("/spec/template/metadata/annotations/proxy.istio.io~1config").and_then(Value::as_str);
    serde_saphyr::from_str(text.expect("an annotation")).expect("a ProxyConfig")
}

fn service(versions: &[Server]) -> Vec<Value> {
    let endpoint = |(version, server): (&str, &Server)| json!({"address": "127.0.0.1", "ports": {"http": server.address().port()}, "labels": {"version": version}});
    let host = format!("reviews.{NAMESPACE}.svc.cluster.local");
    let entry = json!({
        "hosts": [host],
        "ports": [{"number": PORT, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": VERSIONS.into_iter().zip(versions).map(endpoint).collect::<Vec<_>>(),
    });
    let subsets = VERSIONS.map(|version| json!({"name": version, "labels": {"version": version}}));
    let rule = json!({"host": "reviews", "subsets": subsets});
    vec![
        object("networking.istio.io/v1", "ServiceEntry", NAMESPACE, "reviews", entry),
        object("networking.istio.io/v1", "DestinationRule", NAMESPACE, "reviews", rule),
    ]
}

/// No process runs it. It exists to be patched.
fn deployment() -> Value {
    let labels = json!({"istio": "ingressgateway"});
    let container = json!({"name": "istio-proxy", "image": "istio/proxyv2"});
    let spec = json!({
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    });
    object("apps/v1", "Deployment", ROOT_NAMESPACE, DEPLOYMENT, spec)
}
