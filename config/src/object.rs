//! Kubernetes objects: whole (`metadata` and `spec`) or as a bare spec.

use crate::node::{Fields, Node};
use crate::vocabulary::{KUBERNETES_OBJECT, METADATA, Object};

/// The namespace of an object that names none, as in Kubernetes.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What is read of `metadata`. Everything else in it is accepted and of no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The object's name; empty for a bare spec.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
    /// RFC 3339; empty, which sorts as the oldest, where absent.
    pub creation_timestamp: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { name: String::new(), namespace: DEFAULT_NAMESPACE.to_owned(), creation_timestamp: String::new() }
    }
}

impl Metadata {
    /// What istiod orders objects by: age, name, namespace.
    pub(super) fn rank(&self) -> [&str; 3] {
        [&self.creation_timestamp, &self.name, &self.namespace]
    }

    fn read(node: &Node<'_>) -> Self {
        let Some(fields) = node.object(&METADATA) else { return Self::default() };
        let text = |name| fields.get(name).and_then(|field| field.string().map(str::to_owned));
        Self {
            name: text("name").unwrap_or_default(),
            namespace: text("namespace")
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            creation_timestamp: text("creationTimestamp").unwrap_or_default(),
        }
    }
}

/// Reads a whole object of one of the kinds, or a bare spec, and hands the spec on. `spec_of` names the fields of a kind's
/// spec; the kind is empty where the object has none.
pub(super) fn read<T>(
    node: &Node<'_>,
    kinds: &[&str],
    spec_of: fn(&str) -> &'static Object,
    read_spec: impl Fn(&Fields<'_>, Metadata, &str) -> Option<T>,
) -> Option<T> {
    let mut read = None;
    visit(node, kinds, spec_of, &mut |fields, metadata, kind| read = read_spec(fields, metadata, kind));
    read
}

/// One copy in the .wasm for all kinds.
fn visit(
    node: &Node<'_>,
    kinds: &[&str],
    spec_of: fn(&str) -> &'static Object,
    visit_spec: &mut dyn FnMut(&Fields<'_>, Metadata, &str),
) {
    let Some(fields) = node.object(&KUBERNETES_OBJECT) else { return };
    let kind = fields.get("kind").and_then(|kind| kind.string());
    let spec = fields.get("spec");
    if kind.is_none() && spec.is_none() {
        let Some(fields) = node.object(spec_of("")) else { return };
        visit_spec(&fields, Metadata::default(), "");
        fields.finish();
        return;
    }
    if let (Some(found), Some(place)) = (kind.filter(|kind| !kinds.contains(kind)), fields.get("kind")) {
        place.invalid(format!("expected kind {}, found {found}", kinds.join(" or ")));
    }
    let metadata = fields.get("metadata").map(|metadata| Metadata::read(&metadata)).unwrap_or_default();
    let _ = (fields.get("apiVersion"), fields.get("status"));
    let spec = fields.require("spec");
    fields.finish();
    let Some(spec) = spec else { return };
    let kind = kind.unwrap_or_default();
    let Some(fields) = spec.object(spec_of(kind)) else { return };
    visit_spec(&fields, metadata, kind);
    fields.finish();
}
