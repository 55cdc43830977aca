//! `canaryctl schema`: the JSON Schema of the configuration, for editors.
//!
//! The types below have the shape of the document and carry its descriptions; nobody makes a value of them. The reader
//! (`canary_config::Config`) decides what a document may hold, and a test walks the schema and asks it at every place: what the
//! schema refuses the reader refuses. What takes more than one field to judge is left to `canaryctl validate`.

pub mod document;
pub mod files;
pub mod http_match;
pub mod objects;
pub mod policy;
mod spellings;
pub mod values;
pub mod virtual_service;

use std::process::ExitCode;

use clap::Parser;
use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};

use crate::console;

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
        match serde_json::to_string_pretty(&schema()) {
            Ok(text) => {
                console::say(text);
                ExitCode::SUCCESS
            }
            Err(error) => {
                console::complain(format_args!("error: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// The schema of each YAML document of a file that `canaryctl` takes. Draft-07 is what editors know best.
#[must_use]
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft07()
        .with_transform(RecursiveTransform(spellings::add_snake_case))
        .with_transform(RecursiveTransform(values::simplify));
    settings.into_generator().into_root_schema_for::<files::File>()
}
