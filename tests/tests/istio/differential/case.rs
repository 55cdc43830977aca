//! An example as rules of a gateway, in namespaces of its own.
//!
//! Rules for sidecars become rules of a gateway, too, for every side alike: a sidecar has one listener for a service's port, so that the
//! sides could not stand side by side in one Envoy. What is lost is what only sidecars do: short host names, and that the first of
//! several objects takes a host.

use std::collections::BTreeSet;

use canary_config::{Config, MESH};
use e2e::example::Example;
use serde_json::{Value, json};

use super::intended;

/// The response header with the name of the rule, on every side.
pub(crate) const TAG: &str = "x-rule";
/// The parts of a document that Istio has objects for, and those that tell of proxies.
const COMPARED: [&str; 5] = ["mode", "virtualServices", "destinationRules", "services", "proxy"];
const DEFAULT_NAMESPACE: &str = "default";

/// The implementations of the rules, each at its own port of the same gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Istio alone.
    Native,
    /// The filter, in mode cluster.
    Cluster,
    /// The filter and rendered VirtualServices, in mode version.
    Version,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cluster => "cluster",
            Self::Version => "version",
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Native => 8080,
            Self::Cluster => 8081,
            Self::Version => 8082,
        }
    }
}

/// An example for one proxy, without the parts that Istio cannot express.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The example's name, and that of the proxy where it is not the example's.
    pub(crate) name: String,
    /// Before the names of all its namespaces.
    prefix: String,
    example: Value,
}

impl Case {
    /// An example in its own proxy; where rules look at the caller's labels, also in one that has none.
    pub(crate) fn of(example: &Example) -> Vec<Self> {
        let mut document = example.document.clone();
        for part in intended::left_out(&example.name) {
            document.as_object_mut().expect("a document").remove(part).expect("the part that is left out");
        }
        let slug = example.name.replace('/', "-");
        let mut cases = vec![Self { name: example.name.clone(), prefix: slug.clone(), example: document.clone() }];
        if document.to_string().contains("\"sourceLabels\"") {
            document["proxy"]["labels"] = json!({});
            let name = format!("{} (without labels)", example.name);
            cases.push(Self { name, prefix: format!("{slug}-2"), example: document });
        }
        cases
    }

    /// Parts that are neither compared nor listed as left out.
    pub(crate) fn unlisted(&self) -> Vec<&String> {
        let parts = self.example.as_object().into_iter().flat_map(|document| document.keys());
        parts.filter(|part| !COMPARED.contains(&part.as_str())).collect()
    }

    /// The same once more, beside itself.
    pub(crate) fn copy(&self, name: &str) -> Self {
        Self { name: format!("{} ({name})", self.name), prefix: format!("{name}-{}", self.prefix), ..self.clone() }
    }

    /// The namespaces of its objects and of its proxy.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        self.original_namespaces().iter().map(|name| self.own(name)).collect()
    }

    /// The namespace of its proxy.
    pub(crate) fn namespace(&self) -> String {
        self.own(text(&self.example, "/proxy/namespace").unwrap_or(DEFAULT_NAMESPACE))
    }

    /// The labels of its proxy.
    pub(crate) fn labels(&self) -> Vec<(String, String)> {
        let labels = self.example.pointer("/proxy/labels").and_then(Value::as_object);
        let label = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
        labels.into_iter().flatten().map(label).collect()
    }

    /// Whether its services speak gRPC: those of examples that have rules for it.
    pub(crate) fn is_grpc(&self) -> bool {
        self.name.starts_with("grpc")
    }

    /// The document of a side: for a Gateway `NAMESPACE/SIDE` in the proxy's namespace.
    pub(crate) fn document(&self, side: Side) -> Value {
        let mut document = self.example.clone();
        for list in ["virtualServices", "destinationRules"] {
            elements(&mut document, list).for_each(make_whole);
        }
        let config = Config::read(&document).unwrap_or_else(|errors| panic!("{}: {errors}", self.name)).0;
        let gateway = format!("{}/{}", self.namespace(), side.name());
        let mut ranks: Vec<String> = elements(&mut document, "virtualServices").map(|service| rank(service)).collect();
        ranks.sort();
        for service in elements(&mut document, "virtualServices") {
            let namespace = text(service, "/metadata/namespace").unwrap_or_default().to_owned();
            for gateways in gateway_lists(&mut service["spec"]) {
                let names = gateways.as_array().cloned().unwrap_or_else(|| vec![json!(MESH)]);
                let served =
                    |name: &Value| config.proxy.serves_any(&[text(name, "").unwrap_or(MESH).to_owned()], &namespace);
                *gateways = names.into_iter().map(|name| if served(&name) { json!(gateway) } else { name }).collect();
            }
            let number = ranks.iter().position(|other| *other == rank(service)).unwrap_or_default();
            let name = text(service, "/metadata/name").unwrap_or_default().to_owned();
            tag(&mut service["spec"], &format!("{namespace}/{name}"));
            if service.pointer("/spec/hosts").is_some() {
                service["metadata"]["name"] = json!(format!("{number:02}-{name}-{}", side.name()));
            }
        }
        self.rename(&mut document);
        document["mode"] = json!(if side == Side::Version { "version" } else { "cluster" });
        document["proxy"]["namespace"] = json!(self.namespace());
        document["proxy"]["gateways"] = json!([gateway]);
        document
    }

    fn own(&self, namespace: &str) -> String {
        format!("{}-{namespace}", self.prefix)
    }

    fn original_namespaces(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from([DEFAULT_NAMESPACE.to_owned()]);
        collect(&self.example, &mut names);
        names
    }

    /// Gives every namespace its own name, wherever it is named.
    fn rename(&self, document: &mut Value) {
        let names = self.original_namespaces();
        for service in elements(document, "services") {
            let namespace = text(service, "/namespace").unwrap_or(DEFAULT_NAMESPACE).to_owned();
            service["namespace"] = json!(namespace);
        }
        visit(document, &mut |key, value| {
            let Some(old) = value.as_str() else { return };
            let is_name = matches!(key, "namespace" | "sourceNamespace" | "exportTo") && names.contains(old);
            let host = names.iter().find_map(|name| {
                let host = old.strip_suffix(&format!(".{name}.svc.cluster.local"))?;
                Some(format!("{host}.{}.svc.cluster.local", self.own(name)))
            });
            if is_name {
                *value = json!(self.own(old));
            } else if let Some(host) = host {
                *value = json!(host);
            }
        });
    }
}

/// The text at a pointer.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn elements<'v>(document: &'v mut Value, list: &str) -> impl Iterator<Item = &'v mut Value> {
    document.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// An object with its metadata, where a document may have a bare spec.
fn make_whole(object: &mut Value) {
    if object.get("spec").is_none() {
        *object = json!({"spec": object});
    }
    let host = text(object, "/spec/hosts/0").or(text(object, "/spec/host")).unwrap_or_default();
    let name = host.trim_start_matches("*.").split('.').next().unwrap_or_default().to_owned();
    let metadata = &mut object["metadata"];
    for (field, default) in [("name", name.as_str()), ("namespace", DEFAULT_NAMESPACE)] {
        if metadata.get(field).is_none() {
            metadata[field] = json!(default);
        }
    }
}

/// istiod's order: the API server says itself when an object was made, so that its name has to tell.
fn rank(service: &Value) -> String {
    let parts = ["creationTimestamp", "name", "namespace"]
        .map(|field| text(service, &format!("/metadata/{field}")).unwrap_or_default());
    parts.join(" ")
}

/// The gateways of a VirtualService with hosts, and those of its rules' matches.
fn gateway_lists(spec: &mut Value) -> Vec<&mut Value> {
    if spec.get("hosts").is_none() {
        return Vec::new();
    }
    let fields = spec.as_object_mut().expect("a spec");
    fields.entry("gateways").or_insert(Value::Null);
    let mut lists = Vec::new();
    for (name, field) in fields {
        match name.as_str() {
            "gateways" => lists.push(field),
            "http" => {
                let rules = field.as_array_mut().into_iter().flatten();
                let entries = rules.filter_map(|rule| rule.get_mut("match")?.as_array_mut()).flatten();
                lists.extend(entries.filter_map(|entry| entry.get_mut("gateways")));
            }
            _ => {}
        }
    }
    lists
}

/// Lets each rule name itself in its responses.
fn tag(spec: &mut Value, object: &str) {
    for (index, rule) in elements(spec, "http").enumerate() {
        rule["headers"]["response"]["add"][TAG] = json!(format!("{object}/{index}"));
    }
}

/// The namespaces that objects are in.
fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            names.extend(text(value, "/namespace").map(str::to_owned));
            fields.values().for_each(|field| collect(field, names));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, names)),
        _ => {}
    }
}

/// Shows every value with the key that it, or the list that it stands in, is under.
fn visit(value: &mut Value, change: &mut impl FnMut(&str, &mut Value)) {
    fn go(key: &str, value: &mut Value, change: &mut impl FnMut(&str, &mut Value)) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| go(key, field, change)),
            Value::Array(elements) => elements.iter_mut().for_each(|element| go(key, element, change)),
            _ => change(key, value),
        }
    }
    go("", value, change);
}
