//! `canaryctl render ecds`: the file from which an Envoy reads the filter.

use std::path::PathBuf;

use super::format::Format;
use crate::{bootstrap, console, documents::Document};

/// The flags of `canaryctl render ecds`.
#[derive(Debug, clap::Args)]
pub(super) struct EcdsArgs {
    /// The configuration file, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The filter's module, as Envoy finds it
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// The format to print; Envoy knows it by the file's extension
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

impl EcdsArgs {
    /// Prints the file to standard output.
    pub(super) fn print(&self) -> Result<(), Vec<String>> {
        let document = Document::load(&self.config.display().to_string()).map_err(|problem| vec![problem])?;
        let (_, warnings) = document.read()?;
        document.notes().iter().chain(&warnings).for_each(console::complain);
        let text = format!("{:#}", document.value);
        let resources = bootstrap::filter_discovery(1, &self.wasm, &text);
        match self.output {
            Format::Yaml => {
                let text = serde_saphyr::to_string(&resources).map_err(|error| vec![format!("error: {error}")])?;
                console::say(text.trim_end());
            }
            Format::Json => console::say(format_args!("{resources:#}")),
        }
        Ok(())
    }
}
