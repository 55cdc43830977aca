//! The memory of a table's lazily built automata.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use regex_automata::hybrid::dfa;

use super::live_sets;

/// The most bytes of all caches of a table. If they use more, all are dropped, and the next requests build them again.
///
/// A cache needs about 20 bytes for each instruction of its programs. A single cache may exceed the limit while it is
/// in use.
pub(crate) const MAX_CACHE_BYTES: usize = 2 << 20;

/// The caches of the regexes of one table, shared by its [`RegexSet`](super::RegexSet)s and
/// [`Rewriter`](super::Rewriter)s. A set with a warm cache allocates nothing.
#[derive(Default)]
pub(crate) struct RegexCaches(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    caches: Vec<Cache>,
    used: usize,
    /// The bytes of the automata that use the caches.
    compiled: usize,
}

/// The states that one automaton has built.
#[derive(Default)]
pub(super) enum Cache {
    #[default]
    Empty,
    Dfa(Box<dfa::Cache>),
    LiveSets(Box<live_sets::Cache>),
}

impl Cache {
    fn memory_usage(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Dfa(cache) => cache.memory_usage(),
            Self::LiveSets(cache) => cache.memory_usage(),
        }
    }
}

/// The index of one automaton's cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheSlot(usize);

impl RegexCaches {
    /// Starts without caches.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The bytes of the caches.
    #[must_use]
    pub(crate) fn memory_usage(&self) -> usize {
        self.lock().used
    }

    /// The bytes of the automata that use the caches.
    pub(crate) fn compiled(&self) -> usize {
        self.lock().compiled
    }

    /// Adds the bytes of an automaton.
    pub(super) fn count(&self, bytes: usize) {
        let mut slots = self.lock();
        slots.compiled = slots.compiled.saturating_add(bytes);
    }

    pub(super) fn add(&self) -> CacheSlot {
        let mut slots = self.lock();
        slots.caches.push(Cache::Empty);
        CacheSlot(slots.caches.len().saturating_sub(1))
    }

    /// Lends a cache. Afterwards drops all caches if they are too large.
    pub(super) fn with<R>(&self, slot: CacheSlot, run: impl FnOnce(&mut Cache) -> R) -> R {
        let mut guard = self.lock();
        let slots = &mut *guard;
        let mut none = Cache::Empty;
        let cache = slots.caches.get_mut(slot.0).unwrap_or(&mut none);
        let before = cache.memory_usage();
        let result = run(cache);
        slots.used = slots.used.saturating_sub(before).saturating_add(cache.memory_usage());
        if slots.used > MAX_CACHE_BYTES {
            slots.caches.fill_with(Cache::default);
            slots.used = 0;
        }
        result
    }

    /// After a panic in another thread the cache is still valid, or is built again.
    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RegexCaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegexCaches({} bytes)", self.memory_usage())
    }
}
