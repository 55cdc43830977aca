//! Remembers steps of a search.

use arrayvec::ArrayVec;
use regex_automata::util::primitives::StateID;

/// How a search leaves a position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// It reads a byte.
    Byte(StateID),
    /// It ends with a match.
    Match,
}

/// A step, and the group bounds that it sets.
#[derive(Debug, Clone)]
pub(super) struct KnownStep {
    pub(super) step: Step,
    pub(super) slots: ArrayVec<u32, MAX_SLOTS>,
}

/// A step that sets more bounds is not stored.
const MAX_SLOTS: usize = 4;

/// What a step depends on: the state, the number of the live set at the position, and the class of its byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) state: StateID,
    pub(super) set: u32,
    pub(super) class: u32,
}

/// The number of places. Each step has one place, and replaces the step that is there.
const PLACES: usize = 256;

/// Some of the steps so far.
#[derive(Debug, Default)]
pub(super) struct Memo(Vec<Option<(Key, KnownStep)>>);

impl Memo {
    pub(super) fn get(&self, key: Key) -> Option<&KnownStep> {
        self.0.get(place(key))?.as_ref().filter(|(known, _)| *known == key).map(|(_, taken)| taken)
    }

    pub(super) fn insert(&mut self, key: Key, taken: KnownStep) {
        if self.0.is_empty() {
            self.0.resize(PLACES, None);
        }
        if let Some(place) = self.0.get_mut(place(key)) {
            *place = Some((key, taken));
        }
    }

    pub(super) fn memory_usage(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

fn place(key: Key) -> usize {
    let hash = key.state.as_u32().wrapping_mul(31).wrapping_add(key.set.wrapping_mul(7)).wrapping_add(key.class);
    usize::try_from(hash).unwrap_or(0) % PLACES
}
