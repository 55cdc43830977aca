//! The manifests of `envoy-configs/istio` as shipped, except for the image URL: each steers the proxies that it selects.

use std::{fs, net::SocketAddr};

use e2e::{
    client::{self, Answer, Protocol, Request},
    istio::{
        istiod::ROOT_NAMESPACE,
        manifests::{self, PORT, object},
        mesh::Mesh,
        proxy::{GATEWAY_PORT, Identity, Kind, Proxy},
        service::Service,
    },
    ports,
    upstream::{TEST_ID, Upstream, VERSION_HEADER},
    wait,
};
use serde_json::{Value, json};

use crate::manifests::{IMAGE, folder};

/// Where the manifests take things to be.
const NAMESPACE: &str = "default";
const GATEWAY: &str = "bookinfo-gateway";
const HOST: &str = "reviews.example.com";
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
const OF_SIDECARS: [&str; 3] = [
    "cluster-mode/envoyfilter-sidecar.yaml",
    "version-mode/trafficextension-sidecar.yaml",
    "version-mode/wasmplugin-sidecar.yaml",
];
const OF_GATEWAYS: [&str; 3] = [
    "cluster-mode/envoyfilter-gateway.yaml",
    "version-mode/trafficextension-gateway.yaml",
    "version-mode/wasmplugin-gateway.yaml",
];
const OF_THE_GATEWAY_API: &str = "version-mode/wasmplugin-gateway-api.yaml";
/// What they are printed of, what goes with them, and what stands for a user's own.
const BESIDE: [&str; 6] = [
    "bookinfo.yaml",
    "cluster-mode/rules.yaml",
    "proxy-config.yaml",
    "version-mode/httproute.yaml",
    "version-mode/rules.yaml",
    "version-mode/virtualservice.yaml",
];
const USERS: usize = 100;
/// The users of v3 among user-0 to user-99, by 90 to 10 and the salt of the rules: what `canaryctl explain` says of them.
const OF_V3: [usize; 12] = [4, 5, 6, 13, 24, 27, 32, 37, 49, 61, 76, 86];

pub(crate) async fn are_all_that_is_shipped(_: &Mesh) {
    let folder = folder();
    let folders = [folder.clone(), folder.join("cluster-mode"), folder.join("version-mode")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut found: Vec<_> =
        files.map(|path| path.strip_prefix(&folder).expect("a file of it").display().to_string()).collect();
    found.sort();
    let mut known = [OF_SIDECARS.as_slice(), &OF_GATEWAYS, &[OF_THE_GATEWAY_API], &BESIDE].concat();
    known.sort_unstable();
    assert_eq!(found, known, "files of envoy-configs/istio and those that these claims know");
}

pub(crate) async fn for_sidecars_steer_them(mesh: &Mesh) {
    let _ingress = mesh.ingress.lock().await;
    let service = Service::start(NAMESPACE, "reviews", &VERSIONS).await;
    let who = Identity {
        kind: Kind::Sidecar,
        namespace: NAMESPACE,
        name: "productpage",
        labels: &[("app", "productpage")],
        ports: &[PORT],
        configuration: json!({}),
    };
    let proxy = Proxy::start(mesh, &who).await;
    let mut objects = service.manifests();
    objects.push(manifests::sidecar(NAMESPACE, who.name, proxy.address));
    mesh.apply(&manifests::list(&objects));
    let host = service.host();
    let stage = Stage { mesh, address: proxy.port(PORT), proxy, host, versions: service.versions().iter().collect() };
    for file in OF_SIDECARS {
        stage.steered_by(file).await;
    }
}

pub(crate) async fn for_gateways_steer_them(mesh: &Mesh) {
    let _ingress = mesh.ingress.lock().await;
    let service = Service::start(NAMESPACE, "reviews", &VERSIONS).await;
    let who = Identity {
        kind: Kind::Gateway,
        namespace: ROOT_NAMESPACE,
        name: "istio-ingressgateway",
        labels: &[("istio", "ingressgateway")],
        ports: &[GATEWAY_PORT],
        configuration: json!({}),
    };
    let proxy = Proxy::start(mesh, &who).await;
    let mut objects = service.manifests();
    objects.push(manifests::gateway(NAMESPACE, GATEWAY, proxy.address, GATEWAY_PORT, "ingressgateway", &[HOST]));
    mesh.apply(&manifests::list(&objects));
    let versions = service.versions().iter().collect();
    let stage = Stage { mesh, address: proxy.port(GATEWAY_PORT), proxy, host: HOST.to_owned(), versions };
    for file in OF_GATEWAYS {
        stage.steered_by(file).await;
    }
}

pub(crate) async fn for_the_gateway_api_steer_its_gateways(mesh: &Mesh) {
    let _ingress = mesh.ingress.lock().await;
    let service = Service::start(NAMESPACE, "reviews", &VERSIONS).await;
    // Gateways of the Gateway API listen on every address.
    let [address] = ports::free();
    mesh.apply(&manifests::list(&gateway_api(&service, address.port())));
    let who = Identity {
        kind: Kind::Gateway,
        namespace: NAMESPACE,
        name: "bookinfo-gateway-istio",
        labels: &[("gateway.networking.k8s.io/gateway-name", GATEWAY)],
        ports: &[PORT],
        configuration: json!({}),
    };
    let proxy = Proxy::start(mesh, &who).await;
    let versions = service.versions().iter().collect();
    let stage = Stage { mesh, address, proxy, host: HOST.to_owned(), versions };
    stage.steered_by(OF_THE_GATEWAY_API).await;
}

/// The Gateway, the Service that istiod would make of it if it had a cluster, and a Service for each version.
fn gateway_api(service: &Service, port: u16) -> Vec<Value> {
    let listener = json!({"name": "http", "port": port, "protocol": "HTTP"});
    let spec = json!({"gatewayClassName": "istio", "listeners": [listener]});
    let of_gateway = json!({
        "selector": {"gateway.networking.k8s.io/gateway-name": GATEWAY},
        "ports": [{"name": "http", "port": port, "targetPort": port}],
    });
    let mut objects = vec![
        object("gateway.networking.k8s.io/v1", "Gateway", NAMESPACE, GATEWAY, spec),
        object("v1", "Service", NAMESPACE, &format!("{GATEWAY}-istio"), of_gateway),
    ];
    for version in service.versions() {
        let (name, labels) =
            (format!("reviews-{}", version.name()), json!({"app": "reviews-pod", "version": version.name()}));
        let ports = json!([{"name": "http", "port": PORT}]);
        let pod =
            json!({"address": "127.0.0.1", "ports": {"http": version.address().port()}, "labels": labels.clone()});
        objects.push(object("v1", "Service", NAMESPACE, &name, json!({"selector": labels, "ports": ports})));
        objects.push(object("networking.istio.io/v1", "WorkloadEntry", NAMESPACE, &name, pod));
    }
    objects
}

/// Whether an object has them: they go after what names them.
fn has_failover_clusters(object: &str) -> bool {
    object.lines().any(|line| line.starts_with("  name: ") && line.ends_with("-failover"))
}

/// A proxy and what it routes to.
struct Stage<'a> {
    mesh: &'a Mesh,
    address: SocketAddr,
    proxy: Proxy,
    host: String,
    versions: Vec<&'a Upstream>,
}

impl Stage<'_> {
    /// Applies a manifest and what goes with it, sends requests, and takes it away.
    async fn steered_by(&self, file: &str) {
        self.mesh.apply_text(&self.routes(file));
        let manifest = shipped(file);
        assert!(manifest.contains(IMAGE), "{file} names the image");
        let manifest = manifest.replace(IMAGE, &self.mesh.image());
        self.mesh.apply_text(&manifest);
        let jason = || self.request(file).header("end-user", "jason");
        wait::until_steady(&format!("{file} picks v2"), async || {
            let answer = client::ask(self.address, Protocol::Http1, &jason()).await?;
            (self.upstream_version(file, &answer)? == "v2").then_some(())
        })
        .await;
        let answer = self.send(&jason()).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{file}: jason: {answer:?}");
        self.users(file).await;
        if file.starts_with("cluster-mode/") {
            let answer = self.send(&self.request(file).header("end-user", "nami")).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (555, ""), "{file}: nami: {answer:?}");
        }
        let (clusters, others) =
            manifest.split("\n---\n").partition::<Vec<_>, _>(|object| has_failover_clusters(object));
        self.mesh.delete_text(&others.join("\n---\n"));
        let is_gone = |dump: &str| !dump.contains("canary-filter:");
        self.proxy.until_configured(&format!("without {file}"), is_gone).await;
        let answer = self.send(&jason()).await;
        assert_eq!(answer.status, 200, "{file}: the native routes serve: {answer:?}");
        self.mesh.delete_text(&clusters.join("\n---\n"));
        self.mesh.delete_text(&self.routes(file));
        self.proxy.envoy.assert_no_crash();
    }

    /// The native routes that a manifest wants: those that are shipped, or in cluster mode one's own.
    fn routes(&self, file: &str) -> String {
        match file.rsplit_once('/') {
            Some(("version-mode", "wasmplugin-gateway-api.yaml")) => shipped("version-mode/httproute.yaml"),
            Some(("version-mode", _)) => shipped("version-mode/virtualservice.yaml"),
            _ => {
                let route = json!([{"destination": {"host": "reviews", "subset": "v1"}}]);
                let spec = json!({
                    "hosts": ["reviews", HOST],
                    "gateways": ["mesh", GATEWAY],
                    "http": [{"route": route}],
                });
                object("networking.istio.io/v1", "VirtualService", NAMESPACE, "reviews", spec).to_string()
            }
        }
    }

    /// The same users have v3 with every manifest, and the upstream gets the name of its version.
    async fn users(&self, file: &str) {
        let mut of_v3 = Vec::new();
        for user in 0..USERS {
            let answer = self.send(&self.request(file).header("x-user-id", format!("user-{user}"))).await;
            assert_eq!(answer.status, 200, "{file}: user-{user}: {answer:?}");
            assert_eq!(
                self.upstream_version(file, &answer).as_deref(),
                Some(answer.served_by.as_str()),
                "{file}: user-{user}"
            );
            match answer.served_by.as_str() {
                "v3" => of_v3.push(user),
                version => assert_eq!(version, "v1", "{file}: user-{user}"),
            }
        }
        assert_eq!(of_v3, OF_V3, "{file}");
    }

    fn request(&self, file: &str) -> Request {
        Request::new(&self.host, "/reviews/1").header(TEST_ID, file)
    }

    async fn send(&self, request: &Request) -> Answer {
        client::send(self.address, Protocol::Http1, request).await
    }

    /// The version header that the upstream of the last response got.
    fn upstream_version(&self, file: &str, answer: &Answer) -> Option<String> {
        let upstream = self.versions.iter().find(|version| version.name() == answer.served_by)?;
        upstream.recorded(file).last()?.texts(VERSION_HEADER).first().cloned()
    }
}

fn shipped(file: &str) -> String {
    let path = folder().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
