//! `proxy`: who the filter runs in.

use crate::export_to::is_exported;
use crate::node::Node;
use crate::syntax;
use crate::virtual_service::MESH;
use crate::vocabulary;

/// The proxy's identity, against which selectors are resolved when the document is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The workload's namespace; `None` leaves it to Envoy's node metadata (`NAMESPACE`). Where that is silent too, the
    /// proxy counts as being in the namespace of each VirtualService.
    pub namespace: Option<String>,
    /// The workload's labels; `None` leaves them to Envoy's node metadata (`LABELS`).
    pub labels: Option<Vec<(String, String)>>,
    /// `mesh` for a sidecar (the default), else the gateways that the proxy serves, as `name` or `namespace/name`.
    pub gateways: Vec<String>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self { namespace: None, labels: None, gateways: vec![MESH.to_owned()] }
    }
}

impl Proxy {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::PROXY)?;
        let namespace = fields.get("namespace").and_then(|namespace| {
            let name = namespace.string()?;
            if !syntax::is_dns_label(name) {
                namespace.invalid(format!("invalid value for namespace: {name:?}"));
            }
            Some(name.to_owned())
        });
        let labels = fields.get("labels").map(|labels| crate::labels(&labels));
        let gateways = fields.get("gateways").map(|gateways| crate::gateways(&gateways));
        fields.finish();
        Some(Self {
            namespace,
            labels,
            gateways: gateways.filter(|gateways| !gateways.is_empty()).unwrap_or_else(|| vec![MESH.to_owned()]),
        })
    }

    /// Whether the rules of sidecars apply (see `gateways`).
    #[must_use]
    pub fn in_mesh(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway == MESH)
    }

    /// Whether the workload has all of the labels (`labels.Instance.SubsetOf`).
    #[must_use]
    pub fn has_labels(&self, labels: &[(String, String)]) -> bool {
        labels.iter().all(|label| self.labels.as_ref().is_some_and(|own| own.contains(label)))
    }

    /// Whether the workload is in a namespace; an unknown one is in all.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// Whether the proxy serves one of the gateways that an object of `namespace` names; none named means `mesh`.
    #[must_use]
    pub fn serves_any(&self, gateways: &[String], namespace: &str) -> bool {
        if gateways.is_empty() {
            return self.in_mesh();
        }
        gateways.iter().any(|gateway| self.serves(gateway, namespace))
    }

    fn serves(&self, gateway: &str, namespace: &str) -> bool {
        if gateway == MESH {
            return self.in_mesh();
        }
        let (wanted_namespace, wanted) = qualify_gateway(gateway, Some(namespace));
        self.gateways.iter().filter(|own| *own != MESH).any(|own| {
            let (own_namespace, own) = qualify_gateway(own, self.namespace.as_deref());
            own == wanted && own_namespace.is_none_or(|own| Some(own) == wanted_namespace)
        })
    }

    /// Whether an object with this `exportTo` is visible here; an empty list means everywhere.
    #[must_use]
    pub fn sees(&self, export_to: &[String], namespace: &str) -> bool {
        is_exported(export_to, namespace, |target| self.in_namespace(target))
    }
}

/// (namespace, name) of `name`, `namespace/name` or the legacy `name.namespace.svc.…`.
fn qualify_gateway<'a>(gateway: &'a str, namespace: Option<&'a str>) -> (Option<&'a str>, &'a str) {
    if let Some((namespace, name)) = gateway.split_once('/') {
        return (Some(namespace), name);
    }
    match gateway.split_once('.') {
        Some((name, rest)) => (rest.split('.').next(), name),
        None => (namespace, gateway),
    }
}
