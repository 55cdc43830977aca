//! The commands of canaryctl.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[cfg(feature = "registry")]
use crate::oci::{pull, push};
use crate::{attached, board, completions, echo, explain, probe, render, run, schema, validate};

/// Canary releases in a stock Envoy: check a configuration, explain it, run it, deploy it
#[derive(Debug, Parser)]
#[command(
    name = "canaryctl",
    version = env!("CANARYCTL_VERSION"),
    after_help = r#"Examples:
  canaryctl validate envoy-configs/examples/bookinfo/03-jason/config.yaml
  canaryctl explain --config envoy-configs/examples/bookinfo/03-jason/config.yaml GET http://reviews:9080/
  canaryctl run --config envoy-configs/examples/bookinfo/03-jason/config.yaml"#
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check configuration files and Istio manifests
    #[command(after_long_help = r#"Examples:
  canaryctl validate envoy-configs/examples/bookinfo/03-jason/config.yaml
  canaryctl validate --strict --output github envoy-configs/examples/bookinfo/03-jason/config.yaml"#)]
    Validate(validate::Args),
    /// Show where requests would go, and why
    #[command(after_long_help = r#"Examples:
  canaryctl explain --config envoy-configs/examples/bookinfo/03-jason/config.yaml GET http://reviews:9080/ -H 'end-user: jason'
  canaryctl explain --config envoy-configs/examples/bookinfo/02-ten-percent/config.yaml --draw split=0.95 GET http://reviews:9080/"#)]
    Explain(explain::Args),
    /// Answer requests with what was asked, as one version of a service
    #[command(after_long_help = r#"Examples:
  canaryctl echo --listen 127.0.0.1:8080 --service reviews --version v2"#)]
    Echo(echo::Args),
    /// Run a stock Envoy with the filter and a configuration, and follow the file's edits
    #[command(after_long_help = r#"Examples:
  canaryctl run --config envoy-configs/examples/bookinfo/03-jason/config.yaml
  canaryctl run --config envoy-configs/examples/bookinfo/03-jason/config.yaml --upstream reviews/v2=127.0.0.1:8080"#)]
    Run(run::Args),
    /// Show what a running Envoy does, in a browser
    #[command(after_long_help = r#"Examples:
  canaryctl board --envoy http://127.0.0.1:9901"#)]
    Board(board::Args),
    /// Bring a configuration into an Envoy that runs elsewhere, and follow the file's edits
    Deliver(run::DeliverArgs),
    /// Ask a server whether it is well
    #[command(after_long_help = r#"Examples:
  canaryctl probe http://127.0.0.1:8080/healthz"#)]
    Probe(probe::Args),
    /// Print what other tools need to run a configuration
    Render(render::Args),
    /// Push the filter into an OCI registry, as an image that Istio takes
    #[cfg(feature = "registry")]
    #[command(after_long_help = r#"Examples:
  canaryctl push dist/canary_filter.wasm oci://registry.example.com/canary-filter:0.2.0"#)]
    Push(push::Args),
    /// Pull the filter out of an OCI registry, as Istio would
    #[cfg(feature = "registry")]
    #[command(after_long_help = r#"Examples:
  canaryctl pull oci://registry.example.com/canary-filter:0.2.0 -o canary_filter.wasm"#)]
    Pull(pull::Args),
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_long_help = r#"Examples:
  canaryctl schema > canary-filter.schema.json"#)]
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
