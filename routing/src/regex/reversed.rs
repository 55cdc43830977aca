//! An automaton that is followed from the end of a text.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

use super::state_set::{WORD_BITS, Word, contains, insert};

/// What assertions can see of the byte before a position.
const KINDS_BEFORE: usize = 4;

/// An automaton with its transitions reversed.
#[derive(Debug)]
pub(super) struct Reversed {
    nfa: NFA,
    /// The ways into states without a byte, in the order of the states that they lead to.
    ways: Vec<Way>,
    /// For each state, the place of its first way; and the number of ways.
    first_ways: Vec<u32>,
    /// The states that read a byte.
    reading: Vec<StateID>,
    /// The states that end a match.
    matching: Vec<StateID>,
    /// Words of a set.
    words: usize,
    /// Whether any transition has a condition.
    looks: bool,
    /// Classes of bytes, the end of a text among them.
    classes: usize,
}

/// A transition that reads no byte.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: StateID,
    to: StateID,
    condition: Option<Look>,
}

impl Reversed {
    pub(super) fn new(nfa: NFA) -> Self {
        let states = nfa.states();
        let mut reversed = Self {
            ways: Vec::new(),
            first_ways: Vec::new(),
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
        reversed.ways.sort_by_key(|way| way.to);
        let first = |state: usize| reversed.ways.partition_point(|way| way.to.as_usize() < state);
        reversed.first_ways = (0..=states.len()).map(|state| u32::try_from(first(state)).unwrap_or(u32::MAX)).collect();
        reversed.ways.shrink_to_fit();
        reversed
    }

    fn connect(&mut self, from: StateID, to: StateID, condition: Option<Look>) {
        self.ways.push(Way { from, to, condition });
    }

    /// The ways into a state.
    fn ways_to(&self, state: StateID) -> &[Way] {
        let place = |index: usize| self.first_ways.get(index).and_then(|place| usize::try_from(*place).ok());
        let (Some(first), Some(end)) = (place(state.as_usize()), place(state.as_usize().saturating_add(1))) else {
            return &[];
        };
        self.ways.get(first..end).unwrap_or_default()
    }

    pub(super) fn nfa(&self) -> &NFA {
        &self.nfa
    }

    /// How many surroundings of a position there are.
    pub(super) const fn surroundings(&self) -> usize {
        if self.looks { self.classes.saturating_mul(KINDS_BEFORE) } else { self.classes }
    }

    /// What a step from the set behind a position depends on beside the set: the byte at the position, and what assertions see
    /// before it.
    pub(super) fn surrounding(&self, text: &[u8], position: usize) -> usize {
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

    /// The class of the byte at a position; that of the end behind the last byte.
    pub(super) fn class(&self, text: &[u8], position: usize) -> usize {
        let class = |byte: &u8| self.nfa.byte_classes().get(*byte).into();
        text.get(position).map_or(self.classes.saturating_sub(1), class)
    }

    pub(super) fn memory_usage(&self) -> usize {
        let ways = size_of_val(self.ways.as_slice()).saturating_add(size_of_val(self.first_ways.as_slice()));
        let lists = size_of_val(self.reading.as_slice()).saturating_add(size_of_val(self.matching.as_slice()));
        self.nfa.memory_usage().saturating_add(ways).saturating_add(lists)
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
            for way in self.ways_to(state) {
                let holds = way.condition.is_none_or(|look| looks.matches(look, text, position));
                if holds && insert(&mut set, way.from.as_usize()) {
                    open.push(way.from);
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
