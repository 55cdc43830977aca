//! The format of a file that is printed.

use clap::ValueEnum;

/// The format of a file that is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Yaml,
    Json,
}
