//! Kubernetes objects: whole, or as a bare spec.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::values::{ExportTo, Labels, Port, SubsetName, of_kind};
use super::virtual_service::VirtualService;

/// A whole Kubernetes object.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "{S}Object", rename_all = "camelCase", deny_unknown_fields)]
pub struct Object<K, S> {
    /// The version of the object's API.
    pub api_version: Option<Value>,
    /// The object's kind.
    pub kind: Option<K>,
    /// What Kubernetes knows of the object.
    pub metadata: Option<Metadata>,
    /// What the object says.
    pub spec: S,
    /// What Kubernetes says; it is not read.
    pub status: Option<Value>,
}

/// Name, namespace and age count; everything else is not read.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct Metadata {
    /// The object's name.
    pub name: Option<String>,
    /// The object's namespace; short host names belong to it.
    #[schemars(extend("default" = "default"))]
    pub namespace: Option<String>,
    /// When the object was made (RFC 3339); the oldest comes first. Absent sorts as the oldest.
    pub creation_timestamp: Option<String>,
}

/// The kind of a VirtualService.
#[derive(Debug, JsonSchema)]
pub enum VirtualServiceKind {
    /// Hosts and their rules.
    VirtualService,
}

/// The kind of a DestinationRule.
#[derive(Debug, JsonSchema)]
pub enum DestinationRuleKind {
    /// The versions of a host.
    DestinationRule,
}

/// The kind of a Service.
#[derive(Debug, JsonSchema)]
pub enum ServiceKind {
    /// A service of Kubernetes.
    Service,
}

/// The kind of a ServiceEntry.
#[derive(Debug, JsonSchema)]
pub enum ServiceEntryKind {
    /// A service that Istio knows.
    ServiceEntry,
}

/// A kind that has ports.
#[derive(Debug, JsonSchema)]
pub enum AnyServiceKind {
    /// A service of Kubernetes.
    Service,
    /// A service that Istio knows.
    ServiceEntry,
}

/// A whole VirtualService.
pub type VirtualServiceObject = Object<VirtualServiceKind, VirtualService>;
/// A whole DestinationRule.
pub type DestinationRuleObject = Object<DestinationRuleKind, DestinationRule>;
/// A whole Service.
pub type KubernetesServiceObject = Object<ServiceKind, KubernetesService>;
/// A whole ServiceEntry.
pub type ServiceEntryObject = Object<ServiceEntryKind, ServiceEntry>;
/// A service of an object's form.
pub type ShortServiceObject = Object<AnyServiceKind, ShortService>;

/// The versions of a host: networking.istio.io/v1 DestinationRule.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationRule {
    /// The host; a short name is a service of the object's namespace.
    pub host: String,
    /// The versions.
    pub subsets: Option<Vec<Subset>>,
    /// Who sees the object; absent means all.
    pub export_to: Option<ExportTo>,
    /// For `canaryctl run`, which configures its clusters by it; the filter does not read it.
    pub traffic_policy: Option<Map<String, Value>>,
    /// Not carried out: the rule is taken for every workload.
    pub workload_selector: Option<Value>,
}

/// One version of a host.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subset {
    /// The name that destinations use.
    pub name: SubsetName,
    /// Labels of the version's workloads.
    pub labels: Option<Labels>,
    /// For `canaryctl run`; overrides the host's.
    pub traffic_policy: Option<Map<String, Value>>,
}

/// The ports of a host.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShortService {
    /// The host; a short name is a service of the namespace.
    pub host: String,
    /// Its ports. A destination without a port takes its service's only one.
    pub ports: Vec<Port>,
    /// The namespace of a short name.
    #[schemars(extend("default" = "default"))]
    pub namespace: Option<String>,
}

/// The spec of a Service, of which the ports count.
#[derive(Debug, JsonSchema)]
pub struct KubernetesService {
    /// Its ports.
    pub ports: Option<Vec<KubernetesPort>>,
}

/// A port of a Service.
#[derive(Debug, JsonSchema)]
pub struct KubernetesPort {
    /// Its number.
    pub port: Port,
}

/// The spec of a ServiceEntry, of which hosts and ports count.
#[derive(Debug, JsonSchema)]
pub struct ServiceEntry {
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Their ports.
    pub ports: Option<Vec<ServiceEntryPort>>,
}

/// A port of a ServiceEntry.
#[derive(Debug, JsonSchema)]
pub struct ServiceEntryPort {
    /// Its number.
    pub number: Port,
}

/// An entry of `virtualServices`.
#[derive(Debug)]
pub struct VirtualServiceEntry;

/// An entry of `destinationRules`.
#[derive(Debug)]
pub struct DestinationRuleEntry;

/// An entry of `services`.
#[derive(Debug)]
pub struct AnyService;

impl JsonSchema for VirtualServiceEntry {
    fn schema_name() -> Cow<'static, str> {
        "VirtualServiceEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A VirtualService: a whole object, or its bare spec.",
            "if": is_whole(),
            "then": generator.subschema_for::<VirtualServiceObject>(),
            "else": generator.subschema_for::<VirtualService>(),
        })
    }
}

impl JsonSchema for DestinationRuleEntry {
    fn schema_name() -> Cow<'static, str> {
        "DestinationRuleEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A DestinationRule: a whole object, or its bare spec.",
            "if": is_whole(),
            "then": generator.subschema_for::<DestinationRuleObject>(),
            "else": generator.subschema_for::<DestinationRule>(),
        })
    }
}

impl JsonSchema for AnyService {
    fn schema_name() -> Cow<'static, str> {
        "AnyService".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The ports of a host: `{host, ports, namespace}`, or a whole Service or ServiceEntry.",
            "if": of_kind("Service"),
            "then": generator.subschema_for::<KubernetesServiceObject>(),
            "else": {
                "if": of_kind("ServiceEntry"),
                "then": generator.subschema_for::<ServiceEntryObject>(),
                "else": {
                    "if": is_whole(),
                    "then": generator.subschema_for::<ShortServiceObject>(),
                    "else": generator.subschema_for::<ShortService>(),
                },
            },
        })
    }
}

/// Whether an object is whole: it has a kind or a spec.
fn is_whole() -> Value {
    let has = |field: &str| json!({"properties": {field: {"not": {"type": "null"}}}, "required": [field]});
    json!({"anyOf": [has("kind"), has("spec")]})
}
