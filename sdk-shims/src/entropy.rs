//! Chance: one generator per VM, seeded once. Good for splits and percentages, not for secrets.

use std::cell::Cell;
use std::fmt::Display;

use fastrand::Rng;

thread_local! {
    /// A VM is one thread, so this is one generator per VM.
    static GENERATOR: Cell<Option<Rng>> = const { Cell::new(None) };
}

/// 64 random bits. The first draw of a VM seeds its generator.
pub fn draw() -> u64 {
    let [bits] = draws();
    bits
}

/// So many times 64 random bits.
pub fn draws<const N: usize>() -> [u64; N] {
    let mut generator = GENERATOR.take().unwrap_or_else(|| Rng::with_seed(seed_from(system_seed())));
    let bits = std::array::from_fn(|_| generator.u64(..));
    GENERATOR.set(Some(generator));
    bits
}

/// Starts this VM's generator anew from a known seed, so that a test can repeat its draws.
#[cfg(feature = "test-host")]
pub fn reseed(seed: u64) {
    GENERATOR.set(Some(Rng::with_seed(seed)));
}

fn seed_from(system: Result<u64, impl Display>) -> u64 {
    system.unwrap_or_else(|why| {
        log::warn!("no random seed ({why}): seeding from the clock");
        crate::clock::unix_nanoseconds().unwrap_or_else(|error| {
            log::error!("no seed at all ({error}): this VM's weighted splits repeat those of its last start");
            0
        })
    })
}

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
fn system_seed() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
const fn system_seed() -> Result<u64, &'static str> {
    Err("wasm32-unknown-unknown has none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_host::Vm;

    #[test]
    fn the_clock_seeds_where_nothing_else_does() {
        let vm = Vm::start(crate::logging::init);
        vm.set_time(42);
        assert_eq!(seed_from(Ok::<_, &str>(7)), 7);
        assert!(vm.log().is_empty());
        assert_eq!(seed_from(Err("none")), 42);
        vm.fail("proxy_get_current_time_nanoseconds", 99);
        assert_eq!(seed_from(Err("none")), 0);
        let lines: Vec<_> = vm.log().into_iter().map(|line| (line.level, line.text)).collect();
        let from_clock = (3, "no random seed (none): seeding from the clock".to_owned());
        let refused = "proxy_get_current_time_nanoseconds: the host returned the unknown status 99";
        let from_nothing =
            (4, format!("no seed at all ({refused}): this VM's weighted splits repeat those of its last start"));
        assert_eq!(lines, [from_clock.clone(), from_clock, from_nothing]);
    }

    #[test]
    fn draws_differ_and_a_seed_repeats_them() {
        let draws = || [draw(), draw(), draw()];
        let unseeded = draws();
        assert!(unseeded[0] != unseeded[1] && unseeded[1] != unseeded[2]);
        reseed(1);
        let first = draws();
        reseed(1);
        assert_eq!(draws(), first);
        assert_ne!(unseeded, first);
    }
}
