//! The size of a benchmark.

use std::{env, time::Duration};

use e2e::bench::Amount;

const ROUNDS: u64 = 24;
const SLICE_MILLIS: u64 = 1_000;
const RELOADS: u64 = 300;

/// The size of a benchmark.
#[derive(Debug)]
pub(crate) struct Effort {
    /// Whether only answers are checked.
    pub(crate) is_short: bool,
    pub(crate) rounds: u64,
    /// What is measured of a case in a round.
    pub(crate) slice: Amount,
    /// What each case is sent first, until V8 has compiled what it will compile.
    pub(crate) warm_up: Amount,
    /// Slices of each case whose waits are measured, and the requests of each.
    pub(crate) waits: (u64, u64),
    /// How many rules are loaded.
    pub(crate) rules: usize,
    pub(crate) loads: u64,
    pub(crate) starts: u64,
    pub(crate) reloads: u64,
    /// How long requests are sent without reloads, at most.
    pub(crate) without_reloads: Duration,
}

impl Effort {
    /// `ROUNDS`, `SLICE_MS` and `RELOADS`, or what checks every answer in a short time.
    pub(crate) fn new(is_short: bool) -> Self {
        let amount = |millis, requests| Amount { time: Duration::from_millis(millis), requests };
        if is_short {
            return Self {
                is_short,
                rounds: 1,
                slice: amount(10_000, 200),
                warm_up: amount(10_000, 100),
                waits: (2, 100),
                rules: 500,
                loads: 2,
                starts: 2,
                reloads: 10,
                without_reloads: Duration::from_secs(1),
            };
        }
        let (rounds, slice) = (number("ROUNDS", ROUNDS), number("SLICE_MS", SLICE_MILLIS));
        Self {
            is_short,
            rounds,
            slice: amount(slice, u64::MAX),
            warm_up: amount(2 * slice, u64::MAX),
            // 102,000 requests in 24 rounds.
            waits: ((rounds * 40).div_ceil(24), 2_550),
            rules: 10_000,
            loads: 20,
            starts: 20,
            reloads: number("RELOADS", RELOADS),
            without_reloads: Duration::from_secs(60),
        }
    }

    /// As many as a case's name says, where that is to be measured.
    pub(crate) fn many(&self, full: usize) -> usize {
        if self.is_short { (full / 100).max(10) } else { full }
    }
}

/// A number from the environment.
fn number(variable: &str, default: u64) -> u64 {
    let number = env::var(variable).ok().filter(|number| !number.is_empty());
    number.map_or(default, |number| number.parse().unwrap_or_else(|_| panic!("{variable}={number} is no number")))
}
