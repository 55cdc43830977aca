//! Finds the groups of a match.

use std::ops::Range;

use arrayvec::ArrayVec;
use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

use super::live_sets::LiveSets;
use super::memo::{Key, KnownStep, Step};
use super::reversed::{Reversed, next_state};
use super::state_set::{Word, contains};

/// The bounds of the groups of one match: starts at even indices, ends at odd ones.
#[derive(Debug, Default)]
pub(super) struct Bounds(Vec<Option<usize>>);

impl Bounds {
    /// The range of a group in the text. `None` if the match does not use the group.
    pub(super) fn group(&self, group: usize) -> Option<Range<usize>> {
        let start = group.checked_mul(2)?;
        let bound = |slot: usize| self.0.get(slot).copied().flatten();
        Some(bound(start)?..bound(start.checked_add(1)?)?)
    }

    fn set(&mut self, slot: u32, position: Option<usize>) -> Option<usize> {
        let bound = usize::try_from(slot).ok().and_then(|slot| self.0.get_mut(slot));
        bound.and_then(|bound| std::mem::replace(bound, position))
    }
}

/// Finds the match that a leftmost-first search prefers among those that start at a position.
///
/// It follows the automaton, and takes the first alternative from which a match is still reachable. So it never reads a
/// byte of the text twice, and the cost is the length of the match.
pub(super) struct Finder<'t> {
    reversed: &'t Reversed,
    text: &'t [u8],
    bounds: Bounds,
    /// For each state, the round of its last visit. A state is visited once at each position.
    visited: Vec<u32>,
    round: u32,
    pending: Vec<Pending>,
}

/// The work that remains at a position.
enum Pending {
    Visit(StateID),
    /// Restores a bound, because the alternative that set it failed.
    Restore {
        slot: u32,
        position: Option<usize>,
    },
}

impl<'t> Finder<'t> {
    pub(super) fn new(reversed: &'t Reversed, text: &'t [u8]) -> Self {
        Self {
            reversed,
            text,
            bounds: Bounds(vec![None; reversed.nfa().group_info().slot_len()]),
            visited: vec![0; reversed.nfa().states().len()],
            round: 0,
            pending: Vec::new(),
        }
    }

    /// The match that starts at a position. `None` if there is none.
    pub(super) fn find(&mut self, live: &mut LiveSets<'_>, start: usize) -> Option<&Bounds> {
        self.bounds.0.fill(None);
        let mut state = self.reversed.nfa().start_anchored();
        for position in start..=self.text.len() {
            let class = u32::try_from(self.reversed.class(self.text, position)).unwrap_or(u32::MAX);
            let key = Key { state, set: live.at(position), class };
            let step = match live.memo().get(key) {
                Some(taken) => {
                    for slot in &taken.slots {
                        self.bounds.set(*slot, Some(position));
                    }
                    taken.step
                }
                None => self.compute_step(live, key, position)?,
            };
            match step {
                Step::Byte(next) => state = next,
                Step::Match => return Some(&self.bounds),
            }
        }
        None
    }

    /// Computes a step that the memo does not have, and stores it.
    fn compute_step(&mut self, live: &mut LiveSets<'_>, key: Key, position: usize) -> Option<Step> {
        let step = self.step(live.set(key.set), key.state, position)?;
        // The bounds that were not restored are the ones that the step passed.
        let mut passed = self.pending.iter().filter_map(|pending| match pending {
            Pending::Restore { slot, .. } => Some(*slot),
            Pending::Visit(_) => None,
        });
        let mut slots = ArrayVec::new();
        let fits = passed.all(|slot| slots.try_push(slot).is_ok());
        if fits {
            live.memo().insert(key, KnownStep { step, slots });
        }
        Some(step)
    }

    /// Follows the automaton to the first byte or match from which a match is reachable.
    fn step(&mut self, live: &[Word], state: StateID, position: usize) -> Option<Step> {
        self.round = self.round.wrapping_add(1);
        self.pending.clear();
        self.pending.push(Pending::Visit(state));
        while let Some(pending) = self.pending.pop() {
            let state = match pending {
                Pending::Restore { slot, position } => {
                    self.bounds.set(slot, position);
                    continue;
                }
                Pending::Visit(state) => state,
            };
            let visited = self.visited.get_mut(state.as_usize())?;
            if !contains(live, state.as_usize()) || std::mem::replace(visited, self.round) == self.round {
                continue;
            }
            match self.reversed.nfa().state(state) {
                State::Match { .. } => return Some(Step::Match),
                State::Look { next, .. } => self.pending.push(Pending::Visit(*next)),
                State::Union { alternates } => {
                    self.pending.extend(alternates.iter().rev().copied().map(Pending::Visit))
                }
                State::BinaryUnion { alt1, alt2 } => {
                    self.pending.extend([Pending::Visit(*alt2), Pending::Visit(*alt1)])
                }
                State::Capture { next, slot, .. } => {
                    let slot = slot.as_u32();
                    let before = self.bounds.set(slot, Some(position));
                    self.pending.extend([Pending::Restore { slot, position: before }, Pending::Visit(*next)]);
                }
                reading => return next_state(reading, self.text, position).map(Step::Byte),
            }
        }
        None
    }
}
