//! Puts a pattern's automaton together while the pattern is read.

use super::automaton::{ASCII, Automaton, MAX_STATES, START, States};

/// How often something comes: at least, and at most.
pub(super) type Times = (u32, Option<u32>);

/// An automaton in the making. It takes the pattern's pieces in the order in which they are written, and gives up on what it
/// cannot have: more than [`MAX_STATES`] states, and assertions other than the start and the end of the value.
pub(super) struct Builder {
    /// The states that each character leads into.
    by_character: [States; ASCII],
    /// The states that follow each state.
    followers: Vec<States>,
    level: Level,
    /// Groups around the current one, the innermost last.
    outer: Vec<Level>,
    gave_up: bool,
}

/// A part of the pattern, and where what it matches begins and ends.
#[derive(Clone, Copy)]
struct Piece {
    /// The number of the first of its states; all later ones are its own while it is the newest piece.
    begin: usize,
    heads: States,
    tails: States,
    /// Whether it matches the empty text.
    is_empty: bool,
    /// Whether it asserts the start of the value.
    asserts_start: bool,
    /// Whether it asserts the end of the value.
    asserts_end: bool,
}

impl Piece {
    /// Matches the empty text only.
    fn empty(begin: usize) -> Self {
        Self { is_empty: true, ..Self::nothing(begin) }
    }

    /// Matches no text.
    fn nothing(begin: usize) -> Self {
        Self { begin, heads: 0, tails: 0, is_empty: false, asserts_start: false, asserts_end: false }
    }

    fn or(self, other: Self) -> Self {
        Self {
            begin: self.begin,
            heads: self.heads | other.heads,
            tails: self.tails | other.tails,
            is_empty: self.is_empty || other.is_empty,
            asserts_start: self.asserts_start || other.asserts_start,
            asserts_end: self.asserts_end || other.asserts_end,
        }
    }
}

/// A group as far as it is read, or the whole pattern.
#[derive(Clone, Copy)]
struct Level {
    /// The alternatives before the current one.
    alternatives: Piece,
    /// The current alternative without its last piece.
    sequence: Piece,
    /// The piece that a repetition would apply to.
    newest: Piece,
}

impl Level {
    fn new(begin: usize) -> Self {
        let empty = Piece::empty(begin);
        Self { alternatives: Piece::nothing(begin), sequence: empty, newest: empty }
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            by_character: [0; ASCII],
            followers: vec![0],
            level: Level::new(1),
            outer: Vec::new(),
            gave_up: false,
        }
    }

    /// One character of those that satisfy the condition.
    pub(super) fn character(&mut self, is_member: impl Fn(u32) -> bool) {
        let begin = self.followers.len();
        if begin >= MAX_STATES {
            return self.give_up();
        }
        let state = bit(begin);
        for (states, character) in self.by_character.iter_mut().zip(0..) {
            *states |= if is_member(character) { state } else { 0 };
        }
        self.followers.push(0);
        self.append(Piece { heads: state, tails: state, ..Piece::nothing(begin) });
    }

    /// `^` or `\A`.
    pub(super) fn start_of_value(&mut self) {
        self.append(Piece { asserts_start: true, ..Piece::empty(self.followers.len()) });
    }

    /// `$` or `\z`.
    pub(super) fn end_of_value(&mut self) {
        self.append(Piece { asserts_end: true, ..Piece::empty(self.followers.len()) });
    }

    pub(super) fn open_group(&mut self) {
        self.outer.push(self.level);
        self.level = Level::new(self.followers.len());
    }

    pub(super) fn close_group(&mut self) {
        let group = self.all_alternatives();
        if let Some(outer) = self.outer.pop() {
            self.level = outer;
            self.append(group);
        }
    }

    /// A `|`.
    pub(super) fn next_alternative(&mut self) {
        let alternatives = self.all_alternatives();
        self.level = Level { alternatives, ..Level::new(self.followers.len()) };
    }

    /// Repeats the newest piece: writes it as often as it may come, the last one in a circle if there is no end to it.
    pub(super) fn repeat(&mut self, (min, max): Times) {
        let once = self.level.newest;
        let width = self.followers.len().saturating_sub(once.begin);
        let copies = max.unwrap_or(min.max(1));
        let size = (copies as usize).saturating_mul(width);
        // What asserts the start or the end cannot come twice.
        if once.asserts_start || once.asserts_end || once.begin.saturating_add(size) > MAX_STATES {
            return self.give_up();
        }
        for copy in 1..copies {
            self.copy(once.begin, width, (copy as usize).saturating_mul(width));
        }
        let mut whole = Piece::empty(once.begin);
        for copy in 0..copies {
            let distance = copy.saturating_mul(u32::try_from(width).unwrap_or(u32::MAX));
            let shift = |states: States| states.checked_shl(distance).unwrap_or(0);
            let is_empty = once.is_empty || copy >= min;
            let piece = Piece { heads: shift(once.heads), tails: shift(once.tails), is_empty, ..once };
            if max.is_none() && copy.saturating_add(1) == copies {
                self.link(piece.tails, piece.heads);
            }
            whole = self.in_sequence(whole, piece);
        }
        self.level.newest = whole;
    }

    /// The pattern needs what no automaton has.
    pub(super) fn give_up(&mut self) {
        self.gave_up = true;
    }

    /// The automaton of the whole pattern; `None` if it had to be given up.
    pub(super) fn finish(mut self) -> Option<Automaton> {
        let pattern = self.all_alternatives();
        self.link(START, pattern.heads);
        let last = pattern.tails | if pattern.is_empty { START } else { 0 };
        (!self.gave_up).then(|| Automaton::new(&self.by_character, &self.followers, last))
    }

    fn append(&mut self, piece: Piece) {
        self.level.sequence = self.in_sequence(self.level.sequence, self.level.newest);
        self.level.newest = piece;
    }

    fn all_alternatives(&mut self) -> Piece {
        let current = self.in_sequence(self.level.sequence, self.level.newest);
        self.level.alternatives.or(current)
    }

    /// One piece after the other. What asserts the start has to come before every character, and the end after.
    fn in_sequence(&mut self, one: Piece, other: Piece) -> Piece {
        if (one.asserts_end && other.heads != 0) || (other.asserts_start && one.heads != 0) {
            self.give_up();
        }
        self.link(one.tails, other.heads);
        Piece {
            heads: one.heads | if one.is_empty { other.heads } else { 0 },
            tails: other.tails | if other.is_empty { one.tails } else { 0 },
            is_empty: one.is_empty && other.is_empty,
            ..one.or(other)
        }
    }

    /// Lets the heads follow the tails.
    fn link(&mut self, tails: States, heads: States) {
        for (state, followers) in self.followers.iter_mut().enumerate() {
            *followers |= if tails & bit(state) != 0 { heads } else { 0 };
        }
    }

    /// Writes the states from `begin` a second time, so far away from themselves.
    fn copy(&mut self, begin: usize, width: usize, distance: usize) {
        let shift = u32::try_from(distance).unwrap_or(u32::MAX);
        let shifted = |states: States| states.checked_shl(shift).unwrap_or(0);
        for state in begin..begin.saturating_add(width) {
            let followers = self.followers.get(state).copied().unwrap_or(0);
            self.followers.push(shifted(followers));
            for states in &mut self.by_character {
                *states |= shifted(*states & bit(state));
            }
        }
    }
}

/// The set of one state.
fn bit(state: usize) -> States {
    u32::try_from(state).ok().and_then(|state| START.checked_shl(state)).unwrap_or(0)
}
