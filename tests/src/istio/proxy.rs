//! A proxy as in a Pod: Istio's agent, which runs a stock Envoy.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{self, Answer, Protocol, Request},
    envoy::Envoy,
    istio::{
        istiod::Istiod,
        mesh::Mesh,
        server::{command, spawn},
        tools::Tools,
    },
    ports, wait,
};

/// Where a gateway listens, on its own address.
pub const GATEWAY_PORT: u16 = 8080;
/// Another port of the gateway, for the same rules by another manifest.
pub const SECOND_GATEWAY_PORT: u16 = 8081;

/// The agent keeps modules there, and takes no other folder; every proxy gets one of its own, [`OWN_MODULES`] in its own folder.
const MODULES: &str = "/var/lib/istio/data";
const OWN_MODULES: &str = "modules";
const WITH_OWN_MODULES: &str =
    r#"mount -t tmpfs tmpfs /var/lib && mkdir -p "$0" && mount --bind "$1" "$0" && shift && exec "$@""#;

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A gateway of Istio or of the Gateway API.
    Gateway,
    /// A sidecar. Its client sends requests to it directly.
    Sidecar,
}

/// Who a proxy is.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Gateway or sidecar.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: &'a str,
    /// The name of its workload.
    pub name: &'a str,
    /// The labels of its Pod.
    pub labels: &'a [(&'a str, &'a str)],
    /// The ports of its own address that it will listen on.
    pub ports: &'a [u16],
    /// The annotations of its Pod that Istio's injection puts into `PROXY_CONFIG`, as the fields of a ProxyConfig.
    pub configuration: Value,
}

/// A running proxy. It ends with its Envoy when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Its Envoy; the log is also the agent's.
    pub envoy: Envoy,
    /// Its own address, as that of a Pod.
    pub address: Ipv4Addr,
    folder: TempDir,
}

impl Proxy {
    /// Starts it and waits until Envoy is live.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(mesh: &Mesh, who: &Identity<'_>) -> Self {
        Self::start_at(mesh, ports::loopback(who.ports), who).await
    }

    /// The same, asking another istiod than the mesh's.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_of(mesh: &Mesh, istiod: &Istiod, who: &Identity<'_>) -> Self {
        Self::start_in(mesh, istiod, new_folder(), ports::loopback(who.ports), who).await
    }

    /// The same at an address that manifests name already.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_at(mesh: &Mesh, address: Ipv4Addr, who: &Identity<'_>) -> Self {
        Self::start_in(mesh, &mesh.istiod, new_folder(), address, who).await
    }

    /// Restarts it, as the kubelet does with a container. The files of its Pod stay.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(self, mesh: &Mesh, who: &Identity<'_>) -> Self {
        let Self { envoy, address, folder } = self;
        drop(envoy);
        Self::start_in(mesh, &mesh.istiod, folder, address, who).await
    }

    async fn start_in(mesh: &Mesh, istiod: &Istiod, folder: TempDir, address: Ipv4Addr, who: &Identity<'_>) -> Self {
        let [admin, metrics, status, agent_status] = ports::free();
        let template = folder.path().join("envoy_bootstrap.json");
        write_template(&mesh.tools, &template);
        let mut configuration = json!({
            "discoveryAddress": istiod.discovery().to_string(),
            "controlPlaneAuthPolicy": "NONE",
            "binaryPath": mesh.envoy.path,
            "configPath": folder.path().join("etc"),
            "proxyBootstrapTemplatePath": template,
            "proxyAdminPort": admin.port(),
            // The one port that is not on loopback: the agent knows no other way.
            "statusPort": agent_status.port(),
            "concurrency": 2,
            "terminationDrainDuration": "1s",
            "proxyMetadata": {"METRICS_LOCALHOST_ACCESS_ONLY": "true"},
        });
        for (name, value) in who.configuration.as_object().into_iter().flatten() {
            configuration[name] = value.clone();
        }
        let labels: Value = who.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let role = match who.kind {
            Kind::Gateway => "router",
            Kind::Sidecar => "sidecar",
        };
        let mut agent = in_own_namespaces();
        // By `env`, since a shell drops variables of such a name.
        agent
            .args(["env", &format!("XDS_HEADER_x-forwarded-client-cert={}", identity(who))])
            .arg(mesh.tools.program("pilot-agent"))
            .args(["proxy", role, "--domain", &format!("{}.svc.cluster.local", who.namespace)])
            .args(["--proxyLogLevel=warning", "--proxyComponentLogLevel=wasm:info", "--log_output_level=default:info"])
            .env("PROXY_CONFIG", configuration.to_string())
            .env("POD_NAME", format!("{}-0", who.name))
            .env("POD_NAMESPACE", who.namespace)
            .env("SERVICE_ACCOUNT", who.name)
            .env("INSTANCE_IP", address.to_string())
            .env("ISTIO_META_CLUSTER_ID", "Kubernetes")
            .env("ISTIO_META_WORKLOAD_NAME", who.name)
            .env("ISTIO_METAJSON_LABELS", labels.to_string())
            .env("ISTIO_META_UNPRIVILEGED_POD", "true")
            .env("FILE_MOUNTED_CERTS", "true")
            .env("ENVOY_PROMETHEUS_PORT", metrics.port().to_string())
            .env("ENVOY_STATUS_PORT", status.port().to_string())
            .env("WASM_INSECURE_REGISTRIES", mesh.registry.address().to_string())
            .current_dir(folder.path());
        if who.kind == Kind::Sidecar {
            agent.env("ISTIO_META_INTERCEPTION_MODE", "NONE");
        }
        let log = folder.path().join("proxy.log");
        let envoy = Envoy::run_by(spawn(&mut agent, &log), log, admin).await;
        Self { envoy, address, folder }
    }

    /// Its address with this port.
    #[must_use]
    pub fn port(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    /// Sends one request to this port on a connection of its own.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, port: u16, request: &Request) -> Answer {
        client::send(self.port(port), Protocol::Http1, request).await
    }

    /// The same where there may be no answer yet.
    pub async fn ask(&self, port: u16, request: &Request) -> Option<Answer> {
        client::ask(self.port(port), Protocol::Http1, request).await
    }

    /// Sends it until the answer is right at one worker thread. Failed requests are repeated.
    ///
    /// # Panics
    /// After [`wait::PATIENCE`].
    pub async fn until_one(&self, port: u16, what: &str, request: &Request, is_right: impl Fn(&Answer) -> bool) {
        wait::until(what, async || self.ask(port, request).await.filter(|answer| is_right(answer))).await;
    }

    /// Sends it until the answers are right at every worker thread.
    ///
    /// # Panics
    /// After [`wait::PATIENCE`].
    pub async fn until(&self, port: u16, what: &str, request: &Request, is_right: impl Fn(&Answer) -> bool) -> Answer {
        wait::until_steady(what, async || self.ask(port, request).await.filter(|answer| is_right(answer))).await
    }

    /// Waits until the configuration that Envoy has in force is right.
    pub async fn until_configured(&self, what: &str, is_right: impl Fn(&str) -> bool) {
        wait::until(what, async || {
            let dump = self.envoy.admin("/config_dump?include_eds").await;
            is_right(&dump).then_some(())
        })
        .await;
    }

    /// The files of the modules in force, which the agent names by their digest.
    pub async fn modules(&self) -> BTreeSet<String> {
        let dump = self.envoy.admin("/config_dump").await;
        dump.split('"').filter(|text| text.starts_with(MODULES) && text.ends_with(".wasm")).map(str::to_owned).collect()
    }
}

/// The files of a new Pod.
fn new_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join(OWN_MODULES)).expect("a folder for modules");
    folder
}

/// The template with every listener on loopback: the one for the kubelet's questions would be for everybody.
fn write_template(tools: &Tools, target: &Path) {
    let template = fs::read_to_string(tools.bootstrap_template()).expect("Istio's template of a bootstrap");
    fs::write(target, template.replace("{{ .wildcard }}", "{{ .localhost }}")).expect("write a template");
}

/// The identity of a proxy for istiod, in place of a certificate, as a gateway before istiod would send it.
fn identity(who: &Identity<'_>) -> String {
    format!("URI=spiffe://cluster.local/ns/{}/sa/{}", who.namespace, who.name)
}

/// A command whose arguments are run with a file system of its own at [`MODULES`], and whose children end with it.
fn in_own_namespaces() -> Command {
    let mut unshare = command("unshare");
    if !geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "sh",
        "-c",
        WITH_OWN_MODULES,
        MODULES,
        OWN_MODULES,
    ]);
    unshare
}
