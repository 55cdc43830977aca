//! `clusters`: how a destination becomes the name of an Envoy cluster.

use litemap::LiteMap;

use crate::host;
use crate::node::Node;
use crate::object::DEFAULT_NAMESPACE;
use crate::vocabulary;

/// The rule for cluster names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    template: Vec<Part>,
    /// `FQDN/subset` or `FQDN` to the cluster's exact name.
    names: LiteMap<String, String>,
    /// Whether the proxy has the document's [failover clusters](crate::Config::failover_clusters), so that requests can be sent to
    /// them.
    pub failover: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Port,
    Subset,
    Host,
    Service,
}

/// Istio's names: `outbound|9080|v2|reviews.default.svc.cluster.local`.
const ISTIO_TEMPLATE: &str = "outbound|{port}|{subset}|{host}";

impl Default for Clusters {
    fn default() -> Self {
        Self { template: parse_template(ISTIO_TEMPLATE).unwrap_or_default(), names: LiteMap::new(), failover: false }
    }
}

impl Clusters {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::CLUSTERS)?;
        let mut clusters = Self::default();
        if let Some(template) = fields.get("template") {
            match parse_template(template.string()?) {
                Ok(parts) => clusters.template = parts,
                Err(message) => template.invalid(message),
            }
        }
        if let Some(names) = fields.get("names") {
            for (key, place) in names.entries()? {
                let (host, subset) = key.split_once('/').unwrap_or((key, ""));
                let host = host::qualify(&host.to_ascii_lowercase(), DEFAULT_NAMESPACE);
                let Some(name) = place.string() else { continue };
                place.check(check_text(name));
                clusters.names.insert(names_key(&host, subset), name.to_owned());
            }
        }
        clusters.failover = fields.get("failover").and_then(|failover| failover.boolean()).unwrap_or_default();
        fields.finish();
        Some(clusters)
    }

    /// The cluster of a destination: its exact name, else the template filled in. `host` is the full name; `port` is the
    /// destination's port after all defaults.
    #[must_use]
    pub fn name(&self, host: &str, subset: Option<&str>, port: u16) -> String {
        let subset = subset.unwrap_or_default();
        if let Some(name) = self.exact(host, subset) {
            return name.to_owned();
        }
        let mut name = String::with_capacity(host.len().saturating_add(32));
        for part in &self.template {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Port => name.push_str(&port.to_string()),
                Part::Subset => name.push_str(subset),
                Part::Host => name.push_str(host),
                Part::Service => name.push_str(host.split('.').next().unwrap_or(host)),
            }
        }
        name
    }

    /// The parts before and after the port in a cluster name of the template.
    #[must_use]
    pub fn around_port(&self, host: &str, subset: Option<&str>) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.template {
            let text = match part {
                Part::Text(text) => text,
                Part::Subset => subset.unwrap_or_default(),
                Part::Host => host,
                Part::Service => host.split('.').next().unwrap_or(host),
                Part::Port => {
                    texts.push(String::new());
                    continue;
                }
            };
            texts.last_mut().into_iter().for_each(|last| last.push_str(text));
        }
        texts
    }

    /// Whether the name of a destination depends on its port.
    #[must_use]
    pub fn needs_port(&self, host: &str, subset: Option<&str>) -> bool {
        self.template.contains(&Part::Port) && self.exact(host, subset.unwrap_or_default()).is_none()
    }

    fn exact(&self, host: &str, subset: &str) -> Option<&str> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(&names_key(host, subset)).map(String::as_str)
    }
}

fn names_key(host: &str, subset: &str) -> String {
    format!("{host}/{subset}")
}

/// A cluster's name travels as a header's value.
fn check_text(text: &str) -> Result<(), String> {
    match text {
        "" => Err("the name of a cluster is empty".to_owned()),
        text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        text => Err(format!("the name of a cluster is printable ASCII without blanks, not {text:?}")),
    }
}

fn parse_template(template: &str) -> Result<Vec<Part>, String> {
    check_text(template)?;
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once('{') {
        let (name, tail) =
            tail.split_once('}').ok_or_else(|| format!("{{ without }} in cluster template {template:?}"))?;
        let part = match name {
            "port" => Part::Port,
            "subset" => Part::Subset,
            "host" => Part::Host,
            "service" => Part::Service,
            _ => {
                return Err(format!(
                    "unknown {{{name}}} in cluster template; known: {{port}}, {{subset}}, {{host}}, {{service}}"
                ));
            }
        };
        parts.extend([Part::Text(text.to_owned()), part]);
        rest = tail;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts.retain(|part| *part != Part::Text(String::new()));
    Ok(parts)
}
