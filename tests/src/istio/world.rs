//! A namespace of a mesh with a service and the proxy of its clients.

use serde_json::{Value, json};

use crate::{
    canaryctl,
    client::{Answer, Request},
    istio::{
        istiod::Istiod,
        manifests::{self, PORT, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy, SECOND_GATEWAY_PORT},
        service::Service,
    },
    upstream::{TEST_ID, VERSION_HEADER},
    wait,
};

/// The name of the service.
pub const SERVICE: &str = "reviews";
/// The name of the proxy's workload and of its Gateway.
pub const PROXY: &str = "front";

/// How the filter gets into a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manifest {
    /// In every Istio.
    WasmPlugin,
    /// From Istio 1.30 on.
    TrafficExtension,
    /// With the routes of `mode: cluster`.
    EnvoyFilter,
}

impl Manifest {
    /// As `canaryctl render` and, but for case, `kubectl` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WasmPlugin => "wasmplugin",
            Self::TrafficExtension => "trafficextension",
            Self::EnvoyFilter => "envoyfilter",
        }
    }
}

/// The service, the proxy, and their rules. Everything ends when this is dropped, except objects in the API server.
#[derive(Debug)]
pub struct World<'m> {
    /// The control plane.
    pub mesh: &'m Mesh,
    /// The namespace of everything.
    pub namespace: String,
    /// Gateway or sidecar.
    pub kind: Kind,
    /// The service.
    pub service: Service,
    /// The proxy.
    pub proxy: Proxy,
    /// The URL of the image with the filter.
    pub image: String,
}

impl<'m> World<'m> {
    /// Starts a gateway or sidecar in front of these versions, in a namespace of its own.
    ///
    /// # Panics
    /// If the proxy does not start.
    pub async fn start(mesh: &'m Mesh, namespace: &str, kind: Kind, versions: &[&str]) -> Self {
        let service = Service::start(namespace, SERVICE, versions).await;
        Self::start_with(mesh, namespace, kind, service, json!({})).await
    }

    /// The same with a service, and with these fields of a ProxyConfig.
    ///
    /// # Panics
    /// If the proxy does not start.
    pub async fn start_with(
        mesh: &'m Mesh,
        namespace: &str,
        kind: Kind,
        service: Service,
        configuration: Value,
    ) -> Self {
        Self::start_under(&mesh.istiod, mesh, namespace, kind, service, configuration).await
    }

    /// The same with a proxy that asks another istiod.
    ///
    /// # Panics
    /// If the proxy does not start.
    pub async fn start_under(
        istiod: &Istiod,
        mesh: &'m Mesh,
        namespace: &str,
        kind: Kind,
        service: Service,
        configuration: Value,
    ) -> Self {
        mesh.apply(&manifests::namespace(namespace));
        let who = Identity {
            kind,
            namespace,
            name: PROXY,
            labels: &[("app", PROXY), ("istio", namespace)],
            ports: &[GATEWAY_PORT, SECOND_GATEWAY_PORT, PORT],
            configuration,
        };
        let proxy = Proxy::start_of(mesh, istiod, &who).await;
        let mut objects = service.manifests();
        objects.push(match kind {
            Kind::Gateway => manifests::gateway(namespace, PROXY, proxy.address, GATEWAY_PORT, namespace, &["*"]),
            Kind::Sidecar => manifests::sidecar(namespace, PROXY, proxy.address),
        });
        mesh.apply(&manifests::list(&objects));
        Self { mesh, namespace: namespace.to_owned(), kind, service, proxy, image: mesh.image() }
    }

    /// The port of the proxy for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self.kind {
            Kind::Gateway => GATEWAY_PORT,
            Kind::Sidecar => self.service.port,
        }
    }

    /// A request for the service.
    #[must_use]
    pub fn request(&self, path: &str) -> Request {
        Request::new(&self.service.host(), path)
    }

    /// Sends a request to the proxy.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, request: &Request) -> Answer {
        self.proxy.send(self.port(), request).await
    }

    /// A VirtualService of the service with these rules, for the proxy.
    #[must_use]
    pub fn virtual_service(&self, http: &Value) -> Value {
        let gateway = match self.kind {
            Kind::Gateway => PROXY,
            Kind::Sidecar => "mesh",
        };
        let spec = json!({"hosts": [self.service.host()], "gateways": [gateway], "http": http});
        object("networking.istio.io/v1", "VirtualService", &self.namespace, SERVICE, spec)
    }

    /// The document with these rules, for every version that the service has.
    #[must_use]
    pub fn document(&self, mode: &str, http: &Value) -> Value {
        let versions: Vec<_> = self.service.versions().iter().map(|upstream| upstream.name()).collect();
        json!({
            "mode": mode,
            "virtualServices": [self.virtual_service(http)],
            "destinationRules": [self.service.destination_rule(&versions)],
            "services": [{"host": self.service.name, "namespace": self.namespace, "ports": [self.service.port]}],
        })
    }

    /// The configuration in a manifest's mode with these rules, and a fallback from v2 to v1.
    #[must_use]
    pub fn falling_back(&self, manifest: Manifest, http: &Value) -> Value {
        let mode = if manifest == Manifest::EnvoyFilter { "cluster" } else { "version" };
        let mut document = self.document(mode, http);
        document["policies"] = json!([{
            "hosts": [self.service.name],
            "namespace": self.namespace,
            "fallback": ["v2", "v1"],
            "defaultSubset": "v1",
        }]);
        document
    }

    /// Destinations `(subset, weight)` of the service.
    #[must_use]
    pub fn split(&self, weights: &[(&str, u32)]) -> Value {
        let destination = |(subset, weight): &(&str, u32)| json!({"destination": {"host": self.service.host(), "subset": subset}, "weight": weight});
        weights.iter().map(destination).collect()
    }

    /// One destination.
    #[must_use]
    pub fn to(&self, subset: &str) -> Value {
        json!([{"destination": {"host": self.service.host(), "subset": subset}}])
    }

    /// The rendered manifest that brings the filter into the proxy, with more flags.
    ///
    /// # Panics
    /// If it cannot be rendered.
    #[must_use]
    pub fn plugin(&self, manifest: Manifest, document: &Value, flags: &[&str]) -> String {
        let selector = format!("istio={}", self.namespace);
        let workload = match self.kind {
            Kind::Gateway => "gateway",
            Kind::Sidecar => "sidecar",
        };
        let mut all =
            vec!["--url", &self.image, "--name", "canary", "--namespace", &self.namespace, "--workload", workload];
        all.extend(["--selector", &selector]);
        all.extend_from_slice(flags);
        render(manifest.name(), document, &all)
    }

    /// Applies the native rules of a configuration, and then the manifest with the filter. In mode version the native rules are the
    /// rendered VirtualServices; in mode cluster one that sends everything to the last version.
    ///
    /// # Panics
    /// If something is refused.
    pub fn deploy(&self, manifest: Manifest, document: &Value) {
        self.deploy_with(manifest, document, &[]);
    }

    /// The same with more flags of `canaryctl render`.
    ///
    /// # Panics
    /// If something is refused.
    pub fn deploy_with(&self, manifest: Manifest, document: &Value, flags: &[&str]) {
        if manifest == Manifest::EnvoyFilter {
            let last = self.service.versions().last().expect("a version");
            self.mesh.apply(&self.virtual_service(&json!([{"route": self.to(last.name())}])));
        } else {
            self.mesh.apply_text(&render("virtualservice", document, &[]));
        }
        self.mesh.apply_text(&self.plugin(manifest, document, flags));
    }

    /// Waits until requests like this go to a version, and the upstream gets the filter's version header.
    ///
    /// # Panics
    /// After [`wait::PATIENCE`].
    pub async fn until_picked(&self, version: &str, request: &Request) {
        let request = request.clone().header(TEST_ID, "in force?");
        let upstream = self.service.version(version);
        wait::until_steady(&format!("{version} in {} is picked by the filter", self.namespace), async || {
            upstream.forget();
            self.proxy.ask(self.port(), &request).await?;
            let recorded = upstream.recorded("in force?");
            recorded.iter().any(|request| request.texts(VERSION_HEADER) == [version]).then_some(())
        })
        .await;
    }
}

/// What `canaryctl render` prints of a document, with more flags.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn render(what: &str, document: &Value, flags: &[&str]) -> String {
    canaryctl::render(what, document, flags).unwrap_or_else(|said| panic!("canaryctl render {what}: {said}"))
}
