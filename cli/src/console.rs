//! Lines for the user. A reader that went away (`canaryctl run | head`) is no reason to stop.

use std::{
    fmt,
    io::{self, Write as _},
};

/// Writes one line to standard output.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Writes one line to standard error.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
