//! An automaton that is followed from the end of a text.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

use super::state_set::{WORD_BITS, Word, contains, insert};

/// An automaton with its transitions reversed.
#[derive(Debug)]
pub(super) struct Reversed {
    nfa: NFA,
    /// For each state, the states that lead to it without a byte, and on which condition.
    sources: Vec<Vec<(StateID, Option<Look>)>>,
    /// The states that read a byte.
    reading: Vec<StateID>,
    /// The states that end a match.
    matching: Vec<StateID>,
    /// Words of a set.
    words: usize,
}

impl Reversed {
    pub(super) fn new(nfa: NFA) -> Self {
        let states = nfa.states();
        let mut reversed = Self {
            sources: vec![Vec::new(); states.len()],
            reading: Vec::new(),
            matching: Vec::new(),
            words: states.len().div_ceil(WORD_BITS),
            nfa: nfa.clone(),
        };
        for (index, state) in states.iter().enumerate() {
            let Ok(id) = StateID::new(index) else { continue };
            match state {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => reversed.reading.push(id),
                State::Match { .. } => reversed.matching.push(id),
                State::Look { look, next } => reversed.connect(id, *next, Some(*look)),
                State::Capture { next, .. } => reversed.connect(id, *next, None),
                State::Union { alternates } => alternates.iter().for_each(|next| reversed.connect(id, *next, None)),
                State::BinaryUnion { alt1, alt2 } => {
                    [alt1, alt2].iter().for_each(|next| reversed.connect(id, **next, None))
                }
                State::Fail => {}
            }
        }
        reversed
    }

    fn connect(&mut self, from: StateID, to: StateID, condition: Option<Look>) {
        if let Some(sources) = self.sources.get_mut(to.as_usize()) {
            sources.push((from, condition));
        }
    }

    pub(super) fn nfa(&self) -> &NFA {
        &self.nfa
    }

    /// The words of a set of states.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn memory_usage(&self) -> usize {
        let edges =
            self.sources.iter().map(|sources| size_of_val(sources.as_slice()).saturating_add(size_of::<Vec<u8>>()));
        edges.fold(self.nfa.memory_usage(), usize::saturating_add)
    }

    /// The set at the end of a text.
    pub(super) fn last(&self, text: &[u8]) -> Box<[Word]> {
        self.close(text, text.len(), |_| false)
    }

    /// The set at a position, from the set behind the byte that follows it.
    pub(super) fn before(&self, text: &[u8], position: usize, behind: &[Word]) -> Box<[Word]> {
        self.close(text, position, |state| {
            next_state(self.nfa.state(state), text, position).is_some_and(|next| contains(behind, next.as_usize()))
        })
    }

    /// The states that are live at a position, given which of those that read a byte are.
    fn close(&self, text: &[u8], position: usize, reads_live: impl Fn(StateID) -> bool) -> Box<[Word]> {
        let mut set: Box<[Word]> = vec![0; self.words].into();
        let live = self.reading.iter().filter(|state| reads_live(**state));
        let mut open: Vec<StateID> = self.matching.iter().chain(live).copied().collect();
        for state in &open {
            insert(&mut set, state.as_usize());
        }
        let looks = self.nfa.look_matcher();
        while let Some(state) = open.pop() {
            for (source, condition) in self.sources.get(state.as_usize()).into_iter().flatten() {
                if condition.is_none_or(|look| looks.matches(look, text, position))
                    && insert(&mut set, source.as_usize())
                {
                    open.push(*source);
                }
            }
        }
        set
    }
}

/// The state after the byte at a position.
pub(super) fn next_state(state: &State, text: &[u8], position: usize) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches(text, position).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches(text, position),
        State::Dense(transitions) => transitions.matches(text, position),
        _ => None,
    }
}
