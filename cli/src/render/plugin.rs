//! What the manifests for Istio have in common: the module, the proxies that it is for, and the document for them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use canary_config::{Config, MESH, Mode, VirtualService};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    bootstrap::Failover,
    console,
    documents::{Document, Severity, set},
};

/// The name that all filters of the manifests have in Envoy: their `root_id`, and in its log.
pub(super) const PLUGIN: &str = "canary";
/// What the manifests of the tests are run on, which says nothing of anybody's rules.
pub(super) const RUN_ON: &str =
    "The project's tests run such objects on Istio 1.31 (control plane and agent) with stock Envoy 1.40.0.";
/// The label that an ingress gateway has by Istio's own installers.
const INGRESS_GATEWAY: (&str, &str) = ("istio", "ingressgateway");

#[derive(Debug, clap::Args)]
pub(super) struct PluginArgs {
    /// Configuration document or manifests, YAML or JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config: String,
    /// Where proxies get the module: oci://HOST/NAME:TAG, https://…, http://…, or file://… in the proxy's container
    #[arg(long)]
    url: ModuleUrl,
    /// The digest: of an image its manifest's, which `canaryctl push` prints; of a file by http(s) its own
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Digest>,
    /// The object's name; what has it in the namespace is replaced, rules and all [default: canary-gateway or canary-sidecar,
    /// with what --target-ref, --selector and --port say behind it: one for the same proxies, whoever renders it]
    #[arg(long)]
    name: Option<ObjectName>,
    /// The object's namespace, that of the proxies, or Istio's root namespace for those of all namespaces [default: that of the
    /// document's proxy, else of its first VirtualService]
    #[arg(long)]
    namespace: Option<String>,
    /// What kind of proxy the rules are for [default: what the document's proxy.gateways says, else whom its VirtualServices
    /// are for]
    #[arg(long, value_enum)]
    workload: Option<Workload>,
    /// A Gateway that the proxies serve, NAME or NAMESPACE/NAME; may be repeated [default: those of the document]
    #[arg(long = "gateway", value_name = "GATEWAY")]
    gateways: Vec<String>,
    /// A label of the proxies' Pods; may be repeated [default: istio=ingressgateway for a gateway, none (every sidecar of the
    /// namespace) for sidecars]
    #[arg(long = "selector", value_name = "KEY=VALUE", conflicts_with = "target_refs")]
    selectors: Vec<Label>,
    /// A Gateway of the Gateway API whose proxies they are, in place of labels; may be repeated
    #[arg(long = "target-ref", value_name = "Gateway/NAME")]
    target_refs: Vec<TargetRef>,
    /// A port that clients ask for, where others are to be left alone; may be repeated
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// The Secret with the registry's credentials, of the object's namespace
    #[arg(long, value_name = "SECRET")]
    pull_secret: Option<String>,
    /// When a proxy's agent asks the registry again for a tag that it has: never, or whenever the object has changed
    #[arg(long, value_enum, default_value_t = PullPolicy::IfNotPresent)]
    pull_policy: PullPolicy,
    /// What happens to requests where the module cannot be had or has failed
    #[arg(long, value_enum, default_value_t = FailStrategy::Open)]
    fail_strategy: FailStrategy,
    /// The order among objects of its kind: plugins of a higher one are asked first, EnvoyFilters of a higher one are applied
    /// later
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// How the proxies go from a version that cannot serve to the next: composite from Envoy 1.40 on
    #[arg(long, value_enum, default_value_t = Failover::Aggregate)]
    failover: Failover,
}

/// What kind of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    Gateway,
    Sidecar,
}

/// Istio's names for when an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PullPolicy {
    #[value(name = "IfNotPresent")]
    IfNotPresent,
    #[value(name = "Always")]
    Always,
}

impl PullPolicy {
    /// As WasmPlugin and TrafficExtension spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
        }
    }
}

/// Istio's names for what is done without a working module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailStrategy {
    /// Requests pass without the filter
    #[value(name = "FAIL_OPEN")]
    Open,
    /// Requests are refused
    #[value(name = "FAIL_CLOSE")]
    Close,
    /// As `FAIL_CLOSE`, but a new VM takes over from one that has failed
    #[value(name = "FAIL_RELOAD")]
    Reload,
}

impl FailStrategy {
    /// As WasmPlugin and TrafficExtension spell it.
    pub(super) fn of_plugin(self) -> &'static str {
        match self {
            Self::Open => "FAIL_OPEN",
            Self::Close => "FAIL_CLOSE",
            Self::Reload => "FAIL_RELOAD",
        }
    }

    /// As Envoy spells it.
    pub(super) fn of_envoy(self) -> &'static str {
        match self {
            Self::Close => "FAIL_CLOSED",
            other => other.of_plugin(),
        }
    }
}

/// Where the module lies, with its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModuleUrl(String);

impl ModuleUrl {
    /// The path of a file in the proxy's own file system.
    pub(super) fn file(&self) -> Option<&str> {
        self.0.strip_prefix("file://")
    }

    /// Whether a user's name, and maybe a password, stand before its host. What follows the @ of an image without a registry is
    /// its digest.
    fn has_credentials(&self) -> bool {
        let (_, rest) = self.0.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        self.file().is_none() && authority.split_once('@').is_some_and(|(_, host)| !host.starts_with("sha256:"))
    }

    /// Whether it is an image.
    pub(super) fn is_image(&self) -> bool {
        self.0.starts_with("oci://")
    }
}

impl FromStr for ModuleUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("oci", text));
        if !["oci", "http", "https", "file"].contains(&scheme) {
            return Err(format!("Istio knows oci://, http://, https:// and file://, not {scheme}://"));
        }
        if rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("{text:?} names no module"));
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }
}

impl fmt::Display for ModuleUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest(pub(super) String);

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
        if digits.len() != 64 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err("64 hexadecimal digits are wanted, with or without sha256: before them".to_owned());
        }
        Ok(Self(digits))
    }
}

/// The name of an object of a custom resource: a DNS subdomain as of RFC 1123, of up to 253 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectName(String);

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_label = |label: &str| {
            label.starts_with(is_outer) && label.ends_with(is_outer) && label.chars().all(|c| is_outer(c) || c == '-')
        };
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(format!("{text:?} is not up to 253 lower-case letters, digits, inner hyphens and dots"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A label of Pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    key: String,
    value: String,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err(format!("{text:?} is not KEY=VALUE, such as istio=ingressgateway")),
        }
    }
}

/// A Gateway of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetRef(String);

impl FromStr for TargetRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("Gateway", name)) if !name.is_empty() && !name.contains('/') => Ok(Self(name.to_owned())),
            _ => Err(format!("{text:?} is not Gateway/NAME, for a Gateway of the object's own namespace")),
        }
    }
}

/// A manifest's own part of what was asked for, and the document for its proxies.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) workload: Workload,
    selectors: Vec<Label>,
    target_refs: Vec<TargetRef>,
    pub(super) ports: Vec<u16>,
    pub(super) url: ModuleUrl,
    pub(super) sha256: Option<Digest>,
    pub(super) pull_secret: Option<String>,
    pub(super) pull_policy: PullPolicy,
    pub(super) fail_strategy: FailStrategy,
    pub(super) priority: Option<i32>,
    pub(super) failover: Failover,
    pub(super) config: Config,
    /// As the filter gets it.
    pub(super) document: Value,
}

impl PluginArgs {
    /// Reads the document as one of `mode`, for the proxies that the flags name. Warnings are told.
    pub(super) fn plugin(self, mode: Mode) -> Result<Plugin, Vec<String>> {
        if self.url.has_credentials() {
            let why = "--url: a user's name or password in it would stand in the object for all to read; push the module as an image and name the Secret with the registry's credentials by --pull-secret (imagePullSecret)";
            return Err(vec![format!("error: {why}")]);
        }
        let mut document = Document::load(&self.config).map_err(|problem| vec![problem])?;
        let (config, _) = document.read()?;
        let wrong = |at: &str, why: String| vec![document.line(Severity::Error, "render", at, why)];
        let is_silent = document.value.get("mode").is_none_or(Value::is_null);
        if config.mode != mode && !is_silent {
            return Err(wrong("/mode", other_mode(mode).to_owned()));
        }
        if config.virtual_services.is_empty() {
            return Err(vec![format!("{}: there is no VirtualService in it", self.config)]);
        }
        let workload = self.workload_of(&config).map_err(|why| wrong("/virtualServices", why))?;
        let gateways = self.gateways_of(&config, workload).map_err(|why| wrong("/virtualServices", why))?;
        let name = if mode == Mode::Version { "version" } else { "cluster" };
        set(&mut document.value, "/mode", json!(name));
        set(&mut document.value, "/proxy/gateways", json!(gateways));
        let has_failover = !config.failover_clusters().is_empty();
        if has_failover {
            set(&mut document.value, "/clusters/failover", json!(true));
        }
        let (config, warnings) = document.read()?;
        document.notes().iter().chain(&warnings).for_each(console::complain);
        for host in config.hosts_without_failover() {
            let text = format!(
                "{host} has a fallback order, but its port is not known: list it here, else a version that cannot serve costs its requests"
            );
            console::complain(document.line(Severity::Note, "render", "/services", text));
        }
        let selectors = match (workload, self.target_refs.is_empty(), self.selectors.is_empty()) {
            (Workload::Gateway, true, true) => {
                let (key, value) = INGRESS_GATEWAY;
                vec![Label { key: key.to_owned(), value: value.to_owned() }]
            }
            _ => self.selectors,
        };
        let of_rules = config.virtual_services.first().map(|service| service.metadata.namespace.clone());
        let made = || default_name(workload, &self.target_refs, &selectors, &self.ports);
        let ObjectName(name) = self.name.map_or_else(made, Ok).map_err(|why| vec![format!("error: {why}")])?;
        Ok(Plugin {
            name,
            namespace: self.namespace.or_else(|| config.proxy.namespace.clone()).or(of_rules).unwrap_or_default(),
            workload,
            selectors,
            target_refs: self.target_refs,
            ports: self.ports,
            url: self.url,
            sha256: self.sha256,
            pull_secret: self.pull_secret,
            pull_policy: self.pull_policy,
            fail_strategy: self.fail_strategy,
            priority: self.priority,
            failover: self.failover,
            config,
            document: document.value,
            file: self.config,
        })
    }

    fn workload_of(&self, config: &Config) -> Result<Workload, String> {
        if let Some(workload) = self.workload {
            return Ok(workload);
        }
        if !self.gateways.is_empty() || !self.target_refs.is_empty() || !config.proxy.in_mesh() {
            return Ok(Workload::Gateway);
        }
        let for_mesh = |service: &&VirtualService| !service.hosts.is_empty() && is_for_mesh(service);
        let in_mesh = config.virtual_services.iter().any(|service| for_mesh(&service));
        match (in_mesh, named_gateways(config).is_empty()) {
            (true, false) => {
                Err("there are rules for sidecars and rules for gateways: say --workload sidecar or --workload gateway"
                    .to_owned())
            }
            (false, false) => Ok(Workload::Gateway),
            _ => Ok(Workload::Sidecar),
        }
    }

    /// What `proxy.gateways` is for the proxies.
    fn gateways_of(&self, config: &Config, workload: Workload) -> Result<Vec<String>, String> {
        if workload == Workload::Sidecar {
            return Ok(vec![MESH.to_owned()]);
        }
        if !self.gateways.is_empty() {
            return Ok(self.gateways.clone());
        }
        if !config.proxy.in_mesh() {
            return Ok(config.proxy.gateways.clone());
        }
        let named = named_gateways(config);
        if named.is_empty() {
            return Err("none of the VirtualServices names a gateway; say --gateway NAMESPACE/NAME".to_owned());
        }
        Ok(named.into_iter().collect())
    }
}

/// Proxies have one canary-filter, so the name is made of what tells them from others: that one is replaced, and no other.
fn default_name(
    workload: Workload,
    target_refs: &[TargetRef],
    selectors: &[Label],
    ports: &[u16],
) -> Result<ObjectName, String> {
    let kind = match workload {
        Workload::Gateway => "gateway",
        Workload::Sidecar => "sidecar",
    };
    let references: BTreeSet<&str> = target_refs.iter().map(|TargetRef(name)| name.as_str()).collect();
    let is_usual = |label: &Label| (label.key.as_str(), label.value.as_str()) == INGRESS_GATEWAY;
    let labels: BTreeSet<(&str, &str)> = match selectors {
        [only] if workload == Workload::Gateway && is_usual(only) => BTreeSet::new(),
        _ => selectors.iter().map(|label| (label.key.as_str(), label.value.as_str())).collect(),
    };
    let ports: BTreeSet<u16> = ports.iter().copied().collect();
    // A key's part before the slash says whose it is; the one behind it tells keys apart.
    let label = |(key, value): (&str, &str)| format!("{}-{value}", key.rsplit('/').next().unwrap_or(key));
    let mut parts = vec![PLUGIN.to_owned(), kind.to_owned()];
    parts.extend(references.into_iter().map(str::to_owned));
    parts.extend(labels.into_iter().map(label));
    parts.extend(ports.iter().map(|port| format!("port-{port}")));
    parts.join("-").parse().map_err(|why| format!("no name can be made of the labels, say --name: {why}"))
}

/// The way out where a document is of the other mode.
fn other_mode(wanted: Mode) -> &'static str {
    match wanted {
        Mode::Version => {
            "in mode cluster the filter needs routes that only an EnvoyFilter can bring: use `canaryctl render envoyfilter`, or say `mode: version`"
        }
        Mode::Cluster => {
            "in mode version the filter needs no EnvoyFilter: use `canaryctl render wasmplugin` and `canaryctl render virtualservice`, or say `mode: cluster`"
        }
    }
}

fn is_for_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH)
}

/// The gateways of the VirtualServices, each as `namespace/name`.
fn named_gateways(config: &Config) -> BTreeSet<String> {
    let named = config.virtual_services.iter().flat_map(|service| {
        let qualified = |gateway: &String| match gateway.contains(['/', '.']) {
            true => gateway.clone(),
            false => format!("{}/{gateway}", service.metadata.namespace),
        };
        service.gateways.iter().filter(|gateway| *gateway != MESH).map(qualified)
    });
    named.collect()
}

impl Plugin {
    /// Something wrong with a place of the document.
    pub(super) fn refuse(&self, at: &str, why: &str) -> Vec<String> {
        vec![format!("{}: {at}: {why}", self.file)]
    }

    pub(super) fn metadata(&self) -> Value {
        json!({"name": self.name, "namespace": self.namespace})
    }

    /// Whom the object is for: fields of its `spec`, with the name that labels have there.
    pub(super) fn target(&self, labels_field: &str, labels_name: &str) -> Value {
        if !self.target_refs.is_empty() {
            let reference = |TargetRef(name): &TargetRef| json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name});
            return json!({"targetRefs": self.target_refs.iter().map(reference).collect::<Vec<_>>()});
        }
        if self.selectors.is_empty() {
            return json!({});
        }
        let labels: serde_json::Map<String, Value> =
            self.selectors.iter().map(|label| (label.key.clone(), json!(label.value))).collect();
        json!({labels_field: {labels_name: labels}})
    }

    /// Whether it is for every proxy of its namespace.
    pub(super) fn is_for_all(&self) -> bool {
        self.target_refs.is_empty() && self.selectors.is_empty()
    }

    /// The proxies in words.
    pub(super) fn proxies(&self) -> String {
        let list = |names: Vec<String>| names.join(", ");
        if !self.target_refs.is_empty() {
            return format!(
                "the Gateway {}",
                list(self.target_refs.iter().map(|TargetRef(name)| name.clone()).collect())
            );
        }
        let kind = match self.workload {
            Workload::Gateway => "gateways",
            Workload::Sidecar => "sidecars",
        };
        let labels: Vec<String> = self.selectors.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
        if labels.is_empty() { format!("all {kind}") } else { format!("{kind} labelled {}", list(labels)) }
    }
}
