//! The size of tests: short, or long with `LONG=1` in the environment.

use std::env;

/// `normal`, or `long` where `LONG` is set.
#[must_use]
pub fn pick<T>(normal: T, long: T) -> T {
    if env::var_os("LONG").is_some_and(|long| !long.is_empty()) { long } else { normal }
}
