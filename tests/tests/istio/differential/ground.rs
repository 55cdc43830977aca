//! One gateway with a port for each side, and the upstreams of all.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use canary_config::{Config, DestinationKey};
use e2e::{
    canaryctl,
    client::Request,
    istio::{
        manifests::{self, object},
        mesh::Mesh,
        proxy::{Identity, Kind, Proxy},
        world::render,
    },
    upstream::{Recorded, TEST_ID, Upstream},
};
use serde_json::{Value, json};

use super::{
    case::{Case, Side, TAG, text},
    rules::{Endpoint, endpoints},
};

/// The name of the proxy's workload.
const PROXY: &str = "front";
/// What the cluster side's native routes answer: everything there is the filter's to answer.
const NOT_BY_THE_FILTER: u16 = 421;
const NETWORKING: &str = "networking.istio.io/v1";
/// How long copies may take to arrive.
const COPIES: Duration = Duration::from_secs(2);

/// A gateway with the rules of a case on a port for each side. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The gateway.
    pub(crate) proxy: Proxy,
    /// Its sides.
    pub(crate) sides: Vec<Side>,
    upstreams: Vec<Upstream>,
}

impl Ground {
    /// Starts it; `documents` are those of the sides, the native one first.
    pub(crate) async fn start(mesh: &Mesh, case: &Case, documents: &[(Side, Value)]) -> Self {
        let config = Config::read(&documents[0].1).unwrap_or_else(|errors| panic!("{}: {errors}", case.name)).0;
        let namespaces: Vec<_> = case.namespaces().iter().map(|name| manifests::namespace(name)).collect();
        mesh.apply(&manifests::list(&namespaces));
        let labels = case.labels();
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sides: Vec<_> = documents.iter().map(|(side, _)| *side).collect();
        let ports: Vec<_> = sides.iter().map(|side| side.port()).collect();
        let namespace = case.namespace();
        let who = Identity {
            kind: Kind::Gateway,
            namespace: &namespace,
            name: PROXY,
            // Gateways choose proxies of every namespace.
            labels: &[labels, vec![("istio", namespace.as_str())]].concat(),
            ports: &ports,
            configuration: json!({}),
        };
        let proxy = Proxy::start(mesh, &who).await;
        let mut upstreams = Vec::new();
        let mut objects = Vec::new();
        let endpoints = endpoints(&config);
        for endpoint in &endpoints {
            upstreams.push(Upstream::start(&endpoint.name()).await);
        }
        objects.extend(service_entries(case, &config, &endpoints, &upstreams));
        objects.extend(whole_objects(&documents[0].1, "destinationRules", "DestinationRule"));
        let mut rendered = String::new();
        for (side, document) in documents {
            match side {
                Side::Native => objects.extend(whole_objects(document, "virtualServices", "VirtualService")),
                Side::Cluster => {
                    objects.extend(hosts_alone(document));
                    rendered.push_str(&plugin(mesh, "envoyfilter", *side, &namespace, document));
                }
                Side::Version => {
                    rendered.push_str(&plugin(mesh, "wasmplugin", *side, &namespace, document));
                    rendered.push_str("\n---\n");
                    rendered.push_str(&render("virtualservice", document, &[]));
                }
            }
            rendered.push_str("\n---\n");
        }
        // Listeners come last, so that there is none without its filter and its routes.
        let gateway =
            |side: &Side| manifests::gateway(&namespace, side.name(), proxy.address, side.port(), &namespace, &["*"]);
        let gateways = manifests::list(&sides.iter().map(gateway).collect::<Vec<_>>());
        mesh.apply_text(&format!("{}\n---\n{rendered}\n{gateways}", manifests::list(&objects)));
        Self { proxy, sides, upstreams }
    }

    /// Waits until this request is answered by a rule at every side.
    pub(crate) async fn until_ready(&self, case: &Case, request: &Request) {
        for side in &self.sides {
            let what = format!("{}: rules at the side {}", case.name, side.name());
            self.proxy.until_one(side.port(), &what, request, |answer| !answer.values(TAG).is_empty()).await;
        }
    }

    /// What every side's upstreams got, by test id; waits until late copies are there, which is when all sides have as many.
    pub(crate) async fn arrivals(&self) -> BTreeMap<String, Vec<(String, Recorded)>> {
        let begin = Instant::now();
        loop {
            let mut arrivals: BTreeMap<String, Vec<_>> = BTreeMap::new();
            let mut counts = BTreeMap::new();
            for upstream in &self.upstreams {
                for recorded in upstream.kept() {
                    let id = recorded.texts(TEST_ID).concat();
                    let side = id.split('/').next().unwrap_or_default().to_owned();
                    *counts.entry(side).or_insert(0) += 1;
                    arrivals.entry(id).or_default().push((upstream.name().to_owned(), recorded));
                }
            }
            let as_many = counts.len() == self.sides.len() && counts.values().min() == counts.values().max();
            if as_many || begin.elapsed() > COPIES {
                return arrivals;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether `canaryctl render virtualservice` can express a document, else what it says.
pub(crate) fn in_mode_version(document: &Value) -> Result<(), String> {
    canaryctl::render("virtualservice", document, &[]).map(drop)
}

fn plugin(mesh: &Mesh, kind: &str, side: Side, namespace: &str, document: &Value) -> String {
    let (url, port, selector) = (mesh.image(), side.port().to_string(), format!("istio={namespace}"));
    let flags = ["--url", &url, "--name", side.name(), "--namespace", namespace, "--workload", "gateway"];
    let flags = [&flags[..], &["--selector", &selector, "--port", &port]].concat();
    render(kind, document, &flags)
}

/// The objects of a list of the document, for `kubectl`.
fn whole_objects(document: &Value, list: &str, kind: &str) -> Vec<Value> {
    let objects = document[list].as_array().into_iter().flatten();
    let whole = objects.map(|written| {
        let at = |pointer| text(written, pointer).expect("metadata");
        object(NETWORKING, kind, at("/metadata/namespace"), at("/metadata/name"), written["spec"].clone())
    });
    whole.collect()
}

/// The VirtualServices with nothing to do, so that their hosts are there.
fn hosts_alone(document: &Value) -> Vec<Value> {
    let mut objects = whole_objects(document, "virtualServices", "VirtualService");
    objects.retain(|object| object.pointer("/spec/hosts").is_some());
    for object in &mut objects {
        object["spec"]["http"] = json!([{"directResponse": {"status": NOT_BY_THE_FILTER}}]);
    }
    objects
}

fn service_entries(case: &Case, config: &Config, endpoints: &[Endpoint], upstreams: &[Upstream]) -> Vec<Value> {
    let protocol = if case.is_grpc() { "grpc" } else { "http" };
    let mut hosts: Vec<_> = endpoints.iter().map(|endpoint| endpoint.host.clone()).collect();
    hosts.dedup();
    let entry = |host: &String| {
        let destinations = config.destinations();
        let named = destinations.iter().filter(|key| key.host == *host).filter_map(|key: &DestinationKey| key.port);
        let listed = config.services.iter().filter(|service| service.host == *host).flat_map(|service| &service.ports);
        let mut numbers: Vec<u16> = named.chain(listed.copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let name = |number: &u16| format!("{protocol}-{number}");
        let port = |number: &u16| json!({"number": number, "name": name(number), "protocol": protocol.to_uppercase()});
        let own = endpoints.iter().zip(upstreams).filter(|(endpoint, _)| endpoint.host == *host);
        let own = own.map(|(endpoint, upstream)| {
            let port = upstream.address().port();
            json!({
                "address": "127.0.0.1",
                "ports": numbers.iter().map(|number| (name(number), json!(port))).collect::<Value>(),
                "labels": endpoint.labels.iter().cloned().collect::<Value>(),
            })
        });
        let mut labels = host.split('.');
        let (service, namespace) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
        let namespace = if host.ends_with(".svc.cluster.local") { namespace.to_owned() } else { case.namespace() };
        object(
            NETWORKING,
            "ServiceEntry",
            &namespace,
            service,
            json!({
                "hosts": [host],
                "ports": numbers.iter().map(port).collect::<Vec<_>>(),
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "endpoints": own.collect::<Vec<_>>(),
            }),
        )
    };
    hosts.iter().map(entry).collect()
}
