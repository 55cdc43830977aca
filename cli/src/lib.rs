//! canaryctl, the command-line tool of canary-filter, as a library: one module for each subcommand.

pub mod address;
pub mod attached;
pub mod board;
mod bootstrap;
mod command;
pub mod command_reference;
pub mod completions;
mod console;
mod documents;
pub mod echo;
pub mod explain;
mod flags;
mod http;
#[cfg(feature = "registry")]
pub mod oci;
pub mod probe;
pub mod render;
pub mod run;
mod runtime;
pub mod schema;
mod serve;
mod share;
pub mod validate;

pub use command::Cli;
pub use documents::CODES;
