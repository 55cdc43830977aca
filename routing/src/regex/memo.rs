//! Steps of a search that were taken before.

use arrayvec::ArrayVec;
use regex_automata::util::primitives::StateID;

/// How a position is left.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A byte is read.
    Byte(StateID),
    /// The match ends here.
    Match,
}

/// A step, and the bounds of groups that are at the position where it is taken.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) step: Step,
    pub(super) slots: ArrayVec<u32, MAX_SLOTS>,
}

/// A step that passes more bounds is not kept.
const MAX_SLOTS: usize = 4;

/// What a step depends on: the state, the number of the set of live states at the position, and the class of the byte there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) state: StateID,
    pub(super) set: u32,
    pub(super) class: u32,
}

/// Places for steps. A step has one place, and takes it from the one that had it before.
const PLACES: usize = 256;

/// Some of the steps taken so far.
#[derive(Debug, Default)]
pub(super) struct Memo(Vec<Option<(Key, Taken)>>);

impl Memo {
    pub(super) fn get(&self, key: Key) -> Option<&Taken> {
        self.0.get(place(key))?.as_ref().filter(|(known, _)| *known == key).map(|(_, taken)| taken)
    }

    pub(super) fn insert(&mut self, key: Key, taken: Taken) {
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
