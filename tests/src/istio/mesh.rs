//! A control plane with a registry.

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{
    binaries::{self, EnvoyBinary},
    istio::{
        api_server::ApiServer,
        istiod::{Istiod, ROOT_NAMESPACE},
        manifests,
        tools::Tools,
    },
    registry::Registry,
};

/// The name of the image with the filter.
pub const IMAGE: &str = "canary-filter:0.2.0";

/// One control plane for many claims. Each claim has its own namespaces and proxies.
#[derive(Debug)]
pub struct Mesh {
    /// The programs.
    pub tools: Tools,
    /// The Envoy of every proxy.
    pub envoy: EnvoyBinary,
    /// Where objects are applied.
    pub api: ApiServer,
    /// What carries them to proxies.
    pub istiod: Istiod,
    /// Where the image with the filter is, as [`IMAGE`].
    pub registry: Registry,
    /// Locked by a claim whose proxy has the label of Istio's ingress gateway, because all such proxies get the same configuration.
    pub ingress: Mutex<()>,
    /// Their folder; last, as it is removed when they are gone.
    _folder: TempDir,
}

impl Mesh {
    /// Starts everything, and pushes the filter. To be called by a thread that lives as long as the result is needed.
    ///
    /// # Panics
    /// If something does not start.
    pub async fn start(envoy: EnvoyBinary) -> Self {
        let tools = Tools::get();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let registry = Registry::start();
        registry.push(&binaries::wasm(), IMAGE);
        let api = ApiServer::start(&tools, folder.path()).await;
        let istiod = Istiod::start(&tools, &api, folder.path(), &[]).await;
        let mesh = Self { tools, envoy, api, istiod, registry, ingress: Mutex::default(), _folder: folder };
        mesh.apply(&manifests::list(&[manifests::namespace(ROOT_NAMESPACE), manifests::no_mtls()]));
        mesh
    }

    /// The URL of the image with the filter.
    #[must_use]
    pub fn image(&self) -> String {
        self.registry.url(IMAGE)
    }

    /// `kubectl apply` of an object or a List.
    ///
    /// # Panics
    /// If it is refused.
    pub fn apply(&self, manifest: &Value) {
        self.apply_text(&manifest.to_string());
    }

    /// `kubectl apply` of a document, YAML or JSON.
    ///
    /// # Panics
    /// If it is refused.
    pub fn apply_text(&self, manifests: &str) {
        self.api.must(&["apply", "--server-side", "--force-conflicts", "--filename", "-"], manifests);
    }

    /// `kubectl delete` of what a document holds, YAML or JSON.
    ///
    /// # Panics
    /// If something of it is not there.
    pub fn delete_text(&self, manifests: &str) {
        self.api.must(&["delete", "--filename", "-"], manifests);
    }

    /// `kubectl delete` of an object.
    ///
    /// # Panics
    /// If there is none.
    pub fn delete(&self, namespace: &str, kind: &str, name: &str) {
        self.api.must(&["--namespace", namespace, "delete", kind, name], "");
    }
}
