//! canaryctl: the command-line tool of canary-filter.
fn main() {}
