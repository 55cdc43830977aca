//! `canaryctl validate`: what is wrong with configuration files and manifests.

use std::process::ExitCode;

use clap::Parser;

use crate::console;
use crate::documents::Document;

/// Check configuration files and Istio manifests
///
/// Prints every error as `FILE: /pointer: message` and exits with 1 if there is any. Manifests of all FILEs are looked at
/// together, so that a VirtualService finds the DestinationRule of another file.
#[derive(Debug, Parser)]
pub struct Args {
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Configuration documents or Kubernetes manifests, YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

impl Args {
    /// Runs the subcommand.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let documents = match Document::load_all(&self.files) {
            Ok(documents) => documents,
            Err(problems) => {
                console::say(problems);
                return ExitCode::FAILURE;
            }
        };
        let checks: Vec<bool> = documents.iter().map(|document| self.check(document)).collect();
        if checks.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Tells everything about one document; false if it is to be refused.
    fn check(&self, document: &Document) -> bool {
        document.notes.iter().for_each(console::say);
        match document.read() {
            Ok((config, warnings)) => {
                warnings.iter().for_each(console::say);
                if self.strict && !warnings.is_empty() {
                    console::complain(format_args!("{} warning(s) under --strict", warnings.len()));
                    return false;
                }
                console::complain(format_args!(
                    "{}: valid: {} VirtualService(s), {} DestinationRule(s), {} service(s)",
                    document.file(),
                    config.virtual_services.len(),
                    config.destination_rules.len(),
                    config.services.len(),
                ));
                true
            }
            Err(errors) => {
                errors.iter().for_each(console::say);
                console::complain(format_args!("{} error(s)", errors.len()));
                false
            }
        }
    }
}
