//! The commands of canaryctl.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[cfg(feature = "registry")]
use crate::oci::{pull, push};
use crate::{attached, board, completions, echo, explain, probe, render, run, schema, validate};

/// Canary releases in a stock Envoy: check a configuration, explain it, run it, deploy it
#[derive(Debug, Parser)]
#[command(name = "canaryctl", version = env!("CANARYCTL_VERSION"))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check configuration files and Istio manifests
    Validate(validate::Args),
    /// Show where requests would go, and why
    Explain(explain::Args),
    /// Answer requests with what was asked, as one version of a service
    Echo(echo::Args),
    /// Run a stock Envoy with the filter and a configuration, and follow the file's edits
    Run(run::Args),
    /// Show what a running Envoy does, in a browser
    Board(board::Args),
    /// Bring a configuration into an Envoy that runs elsewhere, and follow the file's edits
    Deliver(run::DeliverArgs),
    /// Ask a server whether it is well
    Probe(probe::Args),
    /// Print what other tools need to run a configuration
    Render(render::Args),
    /// Push the filter into an OCI registry, as an image that Istio takes
    #[cfg(feature = "registry")]
    Push(push::Args),
    /// Pull the filter out of an OCI registry, as Istio would
    #[cfg(feature = "registry")]
    Pull(pull::Args),
    /// Print the JSON Schema of the configuration, for editors
    Schema(schema::Args),
    /// Print the completions of a shell
    ///
    /// For bash: `canaryctl completions bash > /etc/bash_completion.d/canaryctl`
    Completions(completions::Args),
    /// Run a program that ends with this process's parent
    #[command(hide = true)]
    Attached(attached::Args),
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Validate(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Echo(args) => args.run(),
            Command::Run(args) => args.run(),
            Command::Board(args) => args.run(),
            Command::Deliver(args) => args.run(),
            Command::Probe(args) => args.run(),
            Command::Render(args) => args.run(),
            #[cfg(feature = "registry")]
            Command::Push(args) => args.run(),
            #[cfg(feature = "registry")]
            Command::Pull(args) => args.run(),
            Command::Schema(args) => args.run(),
            Command::Completions(args) => args.run(&mut Self::command()),
            Command::Attached(args) => args.run(),
        }
    }
}
