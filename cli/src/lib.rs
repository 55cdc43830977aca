//! canaryctl, the command-line tool of canary-filter, as a library: one module for each subcommand.

pub mod address;
mod console;
mod duration;
pub mod echo;
mod http;
mod runtime;
