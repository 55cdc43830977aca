//! Counters whose names are made of what they count.
//!
//! The host of a name has `_` for its dots. The first [`MOST`] names of a family in a VM have counters of their own, all
//! others share `FAMILY.overflow`.

use std::collections::HashMap;

use sdk_shims::clock;
use sdk_shims::host::Counter;
use sdk_shims::log;

const MOST: usize = 256;
/// Least time between two lines of the log about the same counter, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;

/// The counters whose names begin alike.
pub(crate) struct Counters {
    family: &'static str,
    kinds: HashMap<String, Kind>,
}

#[derive(Default)]
struct Kind {
    counter: Option<Counter>,
    told_at: Option<u64>,
}

impl Counters {
    pub(crate) fn new(family: &'static str) -> Self {
        Self { family, kinds: HashMap::new() }
    }

    /// Forgets the counters of the VM that this thread had before.
    pub(crate) fn clear(&mut self) {
        self.kinds.clear();
    }

    /// Counts one of a host and what else the name says. Whether it may be logged: once a second.
    pub(crate) fn count(&mut self, host: &str, parts: &[&str]) -> bool {
        self.count_words(&[&[host.replace('.', "_").as_str()], parts].concat())
    }

    /// Counts one of what these words say. Whether it may be logged: once a second.
    pub(crate) fn count_words(&mut self, words: &[&str]) -> bool {
        let name = [&[self.family], words].concat().join(".");
        let has_room = self.kinds.contains_key(&name) || self.kinds.len() < MOST;
        let name = if has_room { name } else { format!("{}.overflow", self.family) };
        let kind = self.kinds.entry(name.clone()).or_default();
        kind.count(&name);
        kind.may_tell()
    }
}

impl Kind {
    fn count(&mut self, name: &str) {
        let counter = self.counter.map_or_else(|| Counter::define(name), Ok);
        let counted = counter.and_then(|counter| {
            self.counter = Some(counter);
            counter.increment()
        });
        if let Err(error) = counted {
            log::error!("{error}: {name} lacks one");
        }
    }

    fn may_tell(&mut self) -> bool {
        let now = clock::steady_nanoseconds().unwrap_or_default();
        let may = self.told_at.is_none_or(|at| now.abs_diff(at) >= SILENCE);
        if may {
            self.told_at = Some(now);
        }
        may
    }
}
