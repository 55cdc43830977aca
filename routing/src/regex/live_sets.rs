//! From which states of an automaton a match can still be reached, at every position of a text.
//!
//! The sets are computed from the end of the text towards its start. Sets and steps between them are kept, so that most steps
//! are one look-up; a step that is new costs one pass over the automaton. To bound memory, only the set of every
//! [`SEGMENT`]th position is stored, and a segment's sets are computed again when they are needed.

use std::collections::HashMap;

use super::reversed::Reversed;
use super::state_set::{self, WORD_BITS, Word, contains, insert};

/// Positions between two stored sets.
const SEGMENT: usize = 256;

/// The most bytes of one cache before it starts anew.
const MAX_CACHE_BYTES: usize = 256 << 10;

/// What assertions can see of the byte before a position.
const KINDS_BEFORE: usize = 4;

/// Sets and steps found so far.
#[derive(Debug, Default)]
pub(super) struct Cache {
    numbers: HashMap<Box<[Word]>, usize>,
    sets: Vec<Box<[Word]>>,
    /// For each set and each surrounding of a position, the number of the set before; [`UNKNOWN`] if not computed yet.
    steps: Vec<u32>,
    clears: usize,
}

const UNKNOWN: u32 = u32::MAX;

impl Cache {
    pub(super) fn memory_usage(&self) -> usize {
        let set = self.sets.first().map_or(0, |set| size_of_val(&**set));
        let per_set = set.saturating_mul(2).saturating_add(64);
        self.sets.len().saturating_mul(per_set).saturating_add(self.steps.len().saturating_mul(size_of::<u32>()))
    }

    fn clear(&mut self) {
        *self = Self { clears: self.clears.saturating_add(1), ..Self::default() };
    }
}

/// The sets of one text.
pub(super) struct LiveSets<'t> {
    reversed: &'t Reversed,
    cache: &'t mut Cache,
    text: &'t [u8],
    /// The sets of the positions that are multiples of [`SEGMENT`].
    stored: Vec<Box<[Word]>>,
    /// One bit for each position: whether a match starts there.
    starts: Vec<Word>,
    /// The first position of the segment whose sets are in `segment`; `None` before the first one.
    loaded: Option<usize>,
    /// The sets of a segment, one after the other.
    segment: Vec<Word>,
}

impl<'t> LiveSets<'t> {
    /// Goes over the whole text once.
    pub(super) fn new(reversed: &'t Reversed, cache: &'t mut Cache, text: &'t [u8]) -> Self {
        let positions = text.len().saturating_add(1);
        let mut sets = Self {
            reversed,
            cache,
            text,
            stored: vec![Box::default(); positions.div_ceil(SEGMENT)],
            starts: vec![0; positions.div_ceil(WORD_BITS)],
            loaded: None,
            segment: Vec::new(),
        };
        let start = reversed.nfa().start_anchored().as_usize();
        sets.go_back(0, None, |sets, position, set| {
            let set = sets.cache.sets.get(set).map_or(&[][..], |set| set);
            if contains(set, start) {
                insert(&mut sets.starts, position);
            }
            if position % SEGMENT == 0
                && let Some(stored) = sets.stored.get_mut(position / SEGMENT)
            {
                *stored = set.into();
            }
        });
        sets
    }

    /// The first position from `from` on where a match starts.
    pub(super) fn next_start(&self, from: usize) -> Option<usize> {
        state_set::next(&self.starts, from)
    }

    /// The set at a position. Cheap if positions are asked for in ascending order.
    pub(super) fn at(&mut self, position: usize) -> &[Word] {
        let first = position.saturating_sub(position % SEGMENT);
        if self.loaded != Some(first) {
            self.load(first);
        }
        let words = self.reversed.words();
        let begin = (position % SEGMENT).saturating_mul(words);
        self.segment.get(begin..begin.saturating_add(words)).unwrap_or_default()
    }

    fn load(&mut self, first: usize) {
        let words = self.reversed.words();
        self.loaded = Some(first);
        self.segment.clear();
        self.segment.resize(SEGMENT.saturating_mul(words), 0);
        let behind = (first / SEGMENT).saturating_add(1);
        let from = self.stored.get(behind).cloned().map(|set| (behind.saturating_mul(SEGMENT), set));
        self.go_back(first, from, |sets, position, set| {
            let begin = position.saturating_sub(first).saturating_mul(words);
            let target = sets.segment.get_mut(begin..begin.saturating_add(words));
            if let (Some(target), Some(set)) = (target, sets.cache.sets.get(set)) {
                target.copy_from_slice(set);
            }
        });
    }

    /// Visits the sets before a known one (or from the end of the text on) down to a position.
    fn go_back(
        &mut self,
        down_to: usize,
        from: Option<(usize, Box<[Word]>)>,
        mut visit: impl FnMut(&mut Self, usize, usize),
    ) {
        let (mut position, set) = match from {
            Some((position, set)) => (position, self.number(set)),
            None => {
                let set = self.reversed.last(self.text);
                let set = self.number(set);
                visit(self, self.text.len(), set);
                (self.text.len(), set)
            }
        };
        let mut set = set;
        while position > down_to {
            position = position.saturating_sub(1);
            set = self.step(position, set);
            visit(self, position, set);
        }
    }

    /// The number of the set at a position, from the number of the one behind the byte there.
    fn step(&mut self, position: usize, behind: usize) -> usize {
        let step = behind.saturating_mul(self.stride()).saturating_add(self.surrounding(position));
        if let Some(known) = self.cache.steps.get(step).copied().filter(|known| *known != UNKNOWN) {
            return usize::try_from(known).unwrap_or(0);
        }
        let set = self.cache.sets.get(behind).map(|behind| self.reversed.before(self.text, position, behind));
        let clears = self.cache.clears;
        let number = self.number(set.unwrap_or_default());
        // The step's place is gone if the set made room for itself.
        if let Some(step) = self.cache.steps.get_mut(step).filter(|_| self.cache.clears == clears) {
            *step = u32::try_from(number).unwrap_or(UNKNOWN);
        }
        number
    }

    /// Steps kept for each set.
    fn stride(&self) -> usize {
        self.reversed.nfa().byte_classes().alphabet_len().saturating_mul(KINDS_BEFORE)
    }

    /// What a step depends on beside the set: the byte at the position and what assertions see before it.
    fn surrounding(&self, position: usize) -> usize {
        let class =
            self.text.get(position).map_or(0, |byte| usize::from(self.reversed.nfa().byte_classes().get(*byte)));
        let before = position.checked_sub(1).and_then(|before| self.text.get(before));
        let kind = match before {
            _ if self.reversed.nfa().look_set_any().is_empty() => 0,
            None => 0,
            Some(b'\n') => 1,
            Some(b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z') => 2,
            Some(_) => 3,
        };
        class.saturating_mul(KINDS_BEFORE).saturating_add(kind)
    }

    /// The number of a set, which is new or known. Clears the cache first if it is full.
    fn number(&mut self, set: Box<[Word]>) -> usize {
        if let Some(number) = self.cache.numbers.get(&set) {
            return *number;
        }
        if self.cache.memory_usage() > MAX_CACHE_BYTES {
            self.cache.clear();
        }
        let number = self.cache.sets.len();
        self.cache.sets.push(set.clone());
        self.cache.numbers.insert(set, number);
        let steps = self.cache.sets.len().saturating_mul(self.stride());
        self.cache.steps.resize(steps, UNKNOWN);
        number
    }
}
