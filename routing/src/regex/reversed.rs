//! An automaton that runs from the end of a text to its start.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

use super::state_set::{WORD_BITS, Word, contains, insert};

/// The number of classes of the byte before a position that assertions distinguish.
const KINDS_BEFORE: usize = 4;

/// An automaton with reversed transitions.
#[derive(Debug)]
pub(super) struct Reversed {
    nfa: NFA,
    /// The transitions without a byte, sorted by the state that they lead to.
    empty_transitions: Vec<EmptyTransition>,
    /// For each state, the index of its first transition. The last entry is the number of transitions.
    first_transitions: Vec<u32>,
    /// The states that read a byte.
    reading: Vec<StateID>,
    /// The states that end a match.
    matching: Vec<StateID>,
    /// The number of words of a set.
    words: usize,
    /// Whether any transition has a condition.
    looks: bool,
    /// The number of byte classes, including the end of a text.
    classes: usize,
}

/// A transition without a byte.
#[derive(Debug, Clone, Copy)]
struct EmptyTransition {
    from: StateID,
    to: StateID,
    condition: Option<Look>,
}

impl Reversed {
    pub(super) fn new(nfa: NFA) -> Self {
        let states = nfa.states();
        let mut reversed = Self {
            empty_transitions: Vec::new(),
            first_transitions: Vec::new(),
            reading: Vec::new(),
            matching: Vec::new(),
            words: states.len().div_ceil(WORD_BITS),
            looks: !nfa.look_set_any().is_empty(),
            classes: nfa.byte_classes().alphabet_len(),
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
        reversed.empty_transitions.sort_by_key(|transition| transition.to);
        let first =
            |state: usize| reversed.empty_transitions.partition_point(|transition| transition.to.as_usize() < state);
        reversed.first_transitions =
            (0..=states.len()).map(|state| u32::try_from(first(state)).unwrap_or(u32::MAX)).collect();
        reversed.empty_transitions.shrink_to_fit();
        reversed
    }

    fn connect(&mut self, from: StateID, to: StateID, condition: Option<Look>) {
        self.empty_transitions.push(EmptyTransition { from, to, condition });
    }

    /// The transitions to a state.
    fn transitions_to(&self, state: StateID) -> &[EmptyTransition] {
        let place = |index: usize| self.first_transitions.get(index).and_then(|place| usize::try_from(*place).ok());
        let (Some(first), Some(end)) = (place(state.as_usize()), place(state.as_usize().saturating_add(1))) else {
            return &[];
        };
        self.empty_transitions.get(first..end).unwrap_or_default()
    }

    pub(super) fn nfa(&self) -> &NFA {
        &self.nfa
    }

    /// The number of contexts of a position.
    pub(super) const fn contexts(&self) -> usize {
        if self.looks { self.classes.saturating_mul(KINDS_BEFORE) } else { self.classes }
    }

    /// The context of a position: the byte at the position and, for assertions, the byte before it. With the next set,
    /// it determines the step.
    pub(super) fn context(&self, text: &[u8], position: usize) -> usize {
        let class = self.class(text, position);
        if !self.looks {
            return class;
        }
        let before = position.checked_sub(1).and_then(|before| text.get(before));
        let kind = match before {
            None => 0,
            Some(b'\n') => 1,
            Some(b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z') => 2,
            Some(_) => 3,
        };
        class.saturating_mul(KINDS_BEFORE).saturating_add(kind)
    }

    /// The class of the byte at a position. After the last byte, the class of the end.
    pub(super) fn class(&self, text: &[u8], position: usize) -> usize {
        let class = |byte: &u8| self.nfa.byte_classes().get(*byte).into();
        text.get(position).map_or(self.classes.saturating_sub(1), class)
    }

    pub(super) fn memory_usage(&self) -> usize {
        let empty_transitions = size_of_val(self.empty_transitions.as_slice())
            .saturating_add(size_of_val(self.first_transitions.as_slice()));
        let lists = size_of_val(self.reading.as_slice()).saturating_add(size_of_val(self.matching.as_slice()));
        self.nfa.memory_usage().saturating_add(empty_transitions).saturating_add(lists)
    }

    /// The set at the end of a text.
    pub(super) fn last(&self, text: &[u8]) -> Box<[Word]> {
        self.close(text, text.len(), |_| false)
    }

    /// The set at a position, from the set after the byte there.
    pub(super) fn before(&self, text: &[u8], position: usize, behind: &[Word]) -> Box<[Word]> {
        self.close(text, position, |state| {
            next_state(self.nfa.state(state), text, position).is_some_and(|next| contains(behind, next.as_usize()))
        })
    }

    /// The live states at a position. `reads_live` says which states that read a byte are live.
    fn close(&self, text: &[u8], position: usize, reads_live: impl Fn(StateID) -> bool) -> Box<[Word]> {
        let mut set: Box<[Word]> = vec![0; self.words].into();
        let live = self.reading.iter().filter(|state| reads_live(**state));
        let mut open: Vec<StateID> = self.matching.iter().chain(live).copied().collect();
        for state in &open {
            insert(&mut set, state.as_usize());
        }
        let looks = self.nfa.look_matcher();
        while let Some(state) = open.pop() {
            for transition in self.transitions_to(state) {
                let holds = transition.condition.is_none_or(|look| looks.matches(look, text, position));
                if holds && insert(&mut set, transition.from.as_usize()) {
                    open.push(transition.from);
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
