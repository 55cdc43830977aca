//! The live states at every position of a text: the states of an automaton from which a match is still reachable.
//!
//! The sets are computed from the end of the text to its start, and are numbered. Sets and the steps between them are
//! cached, so most steps are one look-up. A new step costs one pass over the automaton. A cache that is too large is
//! reset. The numbers of the later positions are then stale. They are computed again on demand, segment by segment,
//! from the set that is stored for the end of each segment. In addition to the cache a text needs four bytes for each
//! position.

use std::collections::HashMap;
use std::ops::Range;

use super::memo::Memo;
use super::reversed::Reversed;
use super::state_set::{self, WORD_BITS, Word, contains, insert};

/// The number of positions between two stored sets.
const SEGMENT: usize = 256;

/// The most bytes of one cache before it is reset. While a segment is computed again, the cache may grow by one set for
/// each position, at most 2.1 MB for the largest program.
const MAX_CACHE_BYTES: usize = 256 << 10;

/// The sets and steps found so far.
#[derive(Debug, Default)]
pub(super) struct Cache {
    numbers: HashMap<Box<[Word]>, u32>,
    sets: Vec<Box<[Word]>>,
    /// For each set and each context of a position, the number of the set before it. [`UNKNOWN`] if not yet computed.
    steps: Vec<u32>,
    /// The steps of searches over these sets.
    memo: Memo,
    /// Whether the cache has exceeded [`MAX_CACHE_BYTES`].
    is_full: bool,
}

const UNKNOWN: u32 = u32::MAX;

impl Cache {
    pub(super) fn memory_usage(&self) -> usize {
        let set = self.sets.first().map_or(0, |set| size_of_val(&**set));
        let per_set = set.saturating_mul(2).saturating_add(64);
        let sets = self.sets.len().saturating_mul(per_set);
        sets.saturating_add(self.steps.len().saturating_mul(size_of::<u32>())).saturating_add(self.memo.memory_usage())
    }

    /// Resets the cache if it is too large.
    pub(super) fn shrink(&mut self) {
        if self.is_full {
            *self = Self::default();
        }
    }

    fn set(&self, number: u32) -> &[Word] {
        usize::try_from(number).ok().and_then(|number| self.sets.get(number)).map_or(&[], |set| set)
    }
}

/// The live sets of one text.
pub(super) struct LiveSets<'t> {
    reversed: &'t Reversed,
    cache: &'t mut Cache,
    text: &'t [u8],
    /// The sets of the positions that are multiples of [`SEGMENT`].
    stored: Vec<Box<[Word]>>,
    /// One bit for each position: whether a match starts there.
    starts: Vec<Word>,
    /// The number of the set at each position.
    numbers: Vec<u32>,
    /// The positions whose numbers belong to the present cache.
    valid: Range<usize>,
}

impl<'t> LiveSets<'t> {
    /// Computes the sets in one pass over the text.
    pub(super) fn new(reversed: &'t Reversed, cache: &'t mut Cache, text: &'t [u8]) -> Self {
        let positions = text.len().saturating_add(1);
        let mut sets = Self {
            reversed,
            cache,
            text,
            stored: vec![Box::default(); positions.div_ceil(SEGMENT)],
            starts: vec![0; positions.div_ceil(WORD_BITS)],
            numbers: vec![UNKNOWN; positions],
            valid: 0..positions,
        };
        sets.compute_all();
        sets
    }

    fn compute_all(&mut self) {
        let start = self.reversed.nfa().start_anchored().as_usize();
        // Neighbouring positions often share a set. Whether it starts a match is looked up once.
        let (mut last, mut starts) = (UNKNOWN, false);
        let mut set = self.number(self.reversed.last(self.text));
        for position in (0..=self.text.len()).rev() {
            if position < self.text.len() {
                set = self.step(position, set);
            }
            if set != last {
                (last, starts) = (set, contains(self.cache.set(set), start));
            }
            if starts {
                insert(&mut self.starts, position);
            }
            if position % SEGMENT == 0 {
                let stored = self.cache.set(set).into();
                if let Some(place) = self.stored.get_mut(position / SEGMENT) {
                    *place = stored;
                }
            }
            if self.cache.is_full {
                set = self.reset(set);
                self.valid = 0..position.saturating_add(1);
                last = UNKNOWN;
            }
            if let Some(number) = self.numbers.get_mut(position) {
                *number = set;
            }
        }
    }

    /// The first position from `from` at which a match starts.
    pub(super) fn next_start(&self, from: usize) -> Option<usize> {
        state_set::next(&self.starts, from)
    }

    /// The number of the set at a position. Cheap if the positions ascend.
    pub(super) fn at(&mut self, position: usize) -> u32 {
        if !self.valid.contains(&position) {
            self.load(position);
        }
        self.numbers.get(position).copied().unwrap_or(UNKNOWN)
    }

    /// The set with this number.
    pub(super) fn set(&self, number: u32) -> &[Word] {
        self.cache.set(number)
    }

    /// The steps of searches over these sets.
    pub(super) fn memo(&mut self) -> &mut Memo {
        &mut self.cache.memo
    }

    /// Computes the numbers of the position's segment again.
    fn load(&mut self, position: usize) {
        self.cache.shrink();
        let first = position.saturating_sub(position % SEGMENT);
        let behind = first.saturating_add(SEGMENT);
        let (end, set) = match self.stored.get(behind / SEGMENT) {
            Some(stored) => (behind, stored.clone()),
            None => (self.text.len(), self.reversed.last(self.text)),
        };
        let mut set = self.number(set);
        for position in (first..=end).rev() {
            if position < end {
                set = self.step(position, set);
            }
            if let Some(number) = self.numbers.get_mut(position) {
                *number = set;
            }
        }
        self.valid = first..end.saturating_add(1);
    }

    /// Empties the cache except for one set, and returns its new number.
    fn reset(&mut self, set: u32) -> u32 {
        let set: Box<[Word]> = self.cache.set(set).into();
        *self.cache = Cache::default();
        self.number(set)
    }

    /// The number of the set at a position, from the number of the set after its byte.
    fn step(&mut self, position: usize, behind: u32) -> u32 {
        let step = usize::try_from(behind).unwrap_or(usize::MAX).saturating_mul(self.reversed.contexts());
        let step = step.saturating_add(self.reversed.context(self.text, position));
        if let Some(known) = self.cache.steps.get(step).copied().filter(|known| *known != UNKNOWN) {
            return known;
        }
        let set = self.reversed.before(self.text, position, self.cache.set(behind));
        let number = self.number(set);
        if let Some(step) = self.cache.steps.get_mut(step) {
            *step = number;
        }
        number
    }

    /// The number of a set. Adds the set if it is new.
    fn number(&mut self, set: Box<[Word]>) -> u32 {
        if let Some(number) = self.cache.numbers.get(&set) {
            return *number;
        }
        let number = u32::try_from(self.cache.sets.len()).unwrap_or(UNKNOWN);
        self.cache.sets.push(set.clone());
        self.cache.numbers.insert(set, number);
        let steps = self.cache.sets.len().saturating_mul(self.reversed.contexts());
        self.cache.steps.resize(steps, UNKNOWN);
        self.cache.is_full = self.cache.memory_usage() > MAX_CACHE_BYTES;
        number
    }
}
