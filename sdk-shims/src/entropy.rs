//! Random numbers: one generator for each VM, seeded once. Good for splits and percentages, not for secrets.

use std::cell::Cell;
use std::fmt::Display;

thread_local! {
    /// The generator's state. `None` before it is seeded. A VM has one thread, so this is one generator for each VM.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// 64 random bits. The first draw of a VM seeds its generator.
pub fn draw() -> u64 {
    let [bits] = draws();
    bits
}

/// `N` times 64 random bits, by SplitMix64 (Steele, Lea and Flood 2014). It needs neither a large state nor 128-bit
/// products, which wasm does not have.
pub fn draws<const N: usize>() -> [u64; N] {
    /// 2⁶⁴ divided by the golden ratio.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = STATE.get().unwrap_or_else(|| seed_from(system_seed()));
    let bits = std::array::from_fn(|_| {
        state = state.wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    STATE.set(Some(state));
    bits
}

/// Seeds this VM's generator, so that a test can repeat its draws.
#[cfg(feature = "test-host")]
pub fn reseed(seed: u64) {
    STATE.set(Some(seed));
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
    fn the_clock_is_the_last_source_of_a_seed() {
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

    /// The first outputs of the authors' reference code for this seed.
    #[test]
    fn draws_are_those_of_splitmix64() {
        reseed(1_234_567);
        assert_eq!(draws(), [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
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
