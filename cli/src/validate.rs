//! `canaryctl validate`: what is wrong with configuration files and manifests.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use canary_config::Config;
use clap::Parser;

use crate::console;
use crate::documents::{Document, Format, Problem, Severity, printed};

/// Check configuration files and Istio manifests
///
/// Prints every error of every FILE with its place, and exits with 1 if there is any. Manifests of all FILEs are checked
/// together, so that a VirtualService finds the DestinationRule of another file.
#[derive(Debug, Parser)]
pub struct Args {
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// Configuration documents or Kubernetes manifests, YAML or JSON; a folder stands for the files below it, `-` for standard
    /// input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

impl Args {
    /// Runs the subcommand.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let loaded = Document::load_files(&self.files);
        let has_unread = !loaded.problems.is_empty();
        let mut problems = loaded.problems;
        let mut summaries = Vec::new();
        for document in &loaded.documents {
            problems.extend(document.skipped.iter().cloned());
            match document.check() {
                // Without the files that cannot be read, warnings may be wrong.
                Ok(_) if has_unread => {}
                Ok((config, warnings)) => {
                    problems.extend(warnings);
                    problems.extend(nothing_found(document, &config));
                    summaries.push(summary(document, &config));
                }
                Err(errors) => problems.extend(errors),
            }
        }
        problems.sort_by_key(|problem| (self.place_of(&problem.file), problem.position.map(|at| (at.line, at.column))));
        let _ = write!(anstream::stdout(), "{}", printed(&problems, self.output));
        let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if errors == 0 {
            summaries.iter().for_each(console::complain);
        } else {
            console::complain(format_args!("{errors} error(s)"));
        }
        if self.strict && warnings > 0 {
            console::complain(format_args!("{warnings} warning(s) under --strict"));
        }
        if errors > 0 || self.strict && warnings > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Which of FILE a file is, or is below.
    fn place_of(&self, file: &str) -> Option<usize> {
        self.files.iter().position(|given| given == file || Path::new(file).starts_with(given))
    }
}

fn summary(document: &Document, config: &Config) -> String {
    format!(
        "{}: valid: {} VirtualService(s), {} DestinationRule(s), {} service(s)",
        document.file(),
        config.virtual_services.len(),
        config.destination_rules.len(),
        config.services.len(),
    )
}

/// A configuration without anything that decides about requests is probably another file.
fn nothing_found(document: &Document, config: &Config) -> Option<Problem> {
    let is_empty =
        config.virtual_services.is_empty() && config.destination_rules.is_empty() && config.policies.is_empty();
    let message = "there is no VirtualService, DestinationRule or policy in it: nothing is checked";
    is_empty.then(|| Problem::new(Severity::Warning, "nothing-found", &document.origin(""), message))
}
