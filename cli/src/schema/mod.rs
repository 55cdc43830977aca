//! `canaryctl schema`: the JSON Schema of the configuration, for editors.
//!
//! It is made from `canary_config::vocabulary`, where each field is declared once. A test walks the schema and asks the reader
//! (`canary_config::Config`) at every place: what the schema rejects the reader rejects. What takes more than one field to
//! judge is left to `canaryctl validate`.

mod definitions;
pub mod reference;

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};

use crate::console;
use definitions::{Definitions, is_of_kind};

/// Print the JSON Schema (draft-07) of configuration documents and manifests, for editors
///
/// Editors that use yaml-language-server take it from a comment in the first line of each YAML document:
/// `# yaml-language-server: $schema=PATH`.
#[derive(Debug, Parser)]
pub struct Args {}

impl Args {
    /// Prints the schema to standard output.
    #[must_use]
    pub fn run(self) -> ExitCode {
        console::say(format_args!("{:#}", schema()));
        ExitCode::SUCCESS
    }
}

/// The schema of each YAML document of a file that `canaryctl` takes. Draft-07 is what editors know best.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Definitions::default();
    let configuration = definitions.object(&canary_config::vocabulary::CONFIGURATION);
    let manifest = manifest(&mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "canary-filter",
        "description": "A configuration of canary-filter, or a Kubernetes manifest of its rules.",
        "type": "object",
        "if": {"properties": {"kind": {"type": "string", "minLength": 1}}, "required": ["kind"]},
        "then": manifest,
        "else": configuration,
        "definitions": definitions.into_json(),
    })
}

/// A manifest of any kind; kinds that the filter does not use are skipped.
fn manifest(definitions: &mut Definitions) -> Value {
    use canary_config::vocabulary::{ANY_SERVICE, DESTINATION_RULE_ENTRY, VIRTUAL_SERVICE_ENTRY};

    let whole = [&VIRTUAL_SERVICE_ENTRY.whole, &DESTINATION_RULE_ENTRY.whole];
    let known = whole.into_iter().chain(ANY_SERVICE.of_kind);
    let mut branches: Vec<Value> =
        known.map(|object| json!({"if": is_of_kind(object.kinds), "then": definitions.whole(object)})).collect();
    let is_list =
        json!({"properties": {"kind": {"pattern": "List$"}, "items": {"type": "array"}}, "required": ["items"]});
    let items = json!({"properties": {"items": {"items": {"$ref": "#/definitions/Manifest"}}}});
    branches.push(json!({"if": is_list, "then": items}));
    definitions.add(
        "Manifest",
        json!({
            "description": "A Kubernetes manifest. Kinds other than VirtualService, DestinationRule, Service and ServiceEntry are skipped.",
            "allOf": branches,
        }),
    )
}
