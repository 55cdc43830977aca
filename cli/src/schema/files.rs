//! What a file may hold.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::document::Configuration;
use super::objects::{DestinationRuleObject, KubernetesServiceObject, ServiceEntryObject, VirtualServiceObject};
use super::values::of_kind;

/// One YAML document of a file: a configuration, or a Kubernetes manifest, which has a kind.
#[derive(Debug)]
pub struct File;

impl JsonSchema for File {
    fn schema_name() -> Cow<'static, str> {
        "canary-filter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A configuration of canary-filter, or a Kubernetes manifest of its rules.",
            "type": "object",
            "if": {"properties": {"kind": {"type": "string", "minLength": 1}}, "required": ["kind"]},
            "then": generator.subschema_for::<Manifest>(),
            "else": generator.subschema_for::<Configuration>(),
        })
    }
}

/// A manifest of any kind; those that the filter has no use for are skipped.
#[derive(Debug)]
pub struct Manifest;

impl JsonSchema for Manifest {
    fn schema_name() -> Cow<'static, str> {
        "Manifest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let is_list =
            json!({"properties": {"kind": {"pattern": "List$"}, "items": {"type": "array"}}, "required": ["items"]});
        let items = json!({"properties": {"items": {"items": generator.subschema_for::<Self>()}}});
        json_schema!({
            "description": "A Kubernetes manifest. Kinds other than VirtualService, DestinationRule, Service and ServiceEntry are skipped.",
            "allOf": [
                {"if": of_kind("VirtualService"), "then": generator.subschema_for::<VirtualServiceObject>()},
                {"if": of_kind("DestinationRule"), "then": generator.subschema_for::<DestinationRuleObject>()},
                {"if": of_kind("Service"), "then": generator.subschema_for::<KubernetesServiceObject>()},
                {"if": of_kind("ServiceEntry"), "then": generator.subschema_for::<ServiceEntryObject>()},
                {"if": is_list, "then": items},
            ],
        })
    }
}
