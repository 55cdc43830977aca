//! The host's wall clock, and a clock made from it that never goes back.

use std::cell::Cell;

use crate::host::{self, HostError};

/// Nanoseconds since the Unix epoch. Envoy reads its own clock for each call (about 0.1 µs).
///
/// # Errors
/// If the host call fails.
pub fn unix_nanoseconds() -> Result<u64, HostError> {
    host::current_time_nanoseconds()
}

/// The last reading of both clocks.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: u64,
    steady: u64,
}

thread_local! {
    /// A VM has one thread, so this is one clock for each VM.
    static LAST: Cell<Reading> = const { Cell::new(Reading { wall: 0, steady: 0 }) };
}

/// Nanoseconds since some time in the past, by a clock of this VM that never goes back. If the wall clock is set back,
/// this clock stops for one reading. If the wall clock is set ahead, it follows.
///
/// # Errors
/// If the host call fails.
pub fn steady_nanoseconds() -> Result<u64, HostError> {
    let wall = unix_nanoseconds()?;
    let last = LAST.get();
    let steady = last.steady.saturating_add(wall.saturating_sub(last.wall));
    LAST.set(Reading { wall, steady });
    Ok(steady)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_host::Vm;

    #[test]
    fn the_steady_clock_never_goes_back() {
        let vm = Vm::start(|| {});
        let at = |wall| {
            vm.set_time(wall);
            steady_nanoseconds().unwrap()
        };
        let start = at(1_000);
        let passed = [1_500, 1_500, 200, 300, 2_000].map(|wall| at(wall) - start);
        assert_eq!(passed, [500, 500, 500, 600, 2_300]);
        vm.fail("proxy_get_current_time_nanoseconds", 10);
        assert!(steady_nanoseconds().is_err());
        vm.heal();
        assert_eq!(at(2_001) - start, 2_301);
    }
}
