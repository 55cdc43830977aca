//! Puts a pattern's automaton together while the pattern is read.

use super::automaton::{Automaton, MAX_STATES, START, States};
use super::re2::{Range, contains};

/// How often something comes: at least, and at most.
pub(super) type Times = (u32, Option<u32>);

/// An automaton in the making. It takes the pattern's pieces in the order in which they are written, and gives up on what it
/// cannot have: more than [`MAX_STATES`] states, and assertions other than the start and the end of the value.
pub(super) struct Builder {
    automaton: Box<Automaton>,
    /// How many states there are.
    count: u32,
    level: Level,
    /// Groups around the current one, the innermost last.
    outer: Vec<Level>,
    gave_up: bool,
}

/// A part of the pattern, and where what it matches begins and ends.
#[derive(Clone, Copy)]
struct Piece {
    /// The number of the first of its states; all later ones are its own while it is the newest piece.
    begin: u32,
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
    fn empty(begin: u32) -> Self {
        Self { is_empty: true, ..Self::nothing(begin) }
    }

    /// Matches no text.
    fn nothing(begin: u32) -> Self {
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

impl Builder {
    pub(super) fn new() -> Self {
        let nothing = Piece::nothing(START.count_ones());
        let level = Level { alternatives: nothing, sequence: nothing, newest: nothing };
        let automaton = Box::new(Automaton::new());
        let mut builder = Self { automaton, count: nothing.begin, level, outer: Vec::new(), gave_up: false };
        builder.begin_alternative(nothing);
        builder
    }

    /// One character in the ranges, or outside of them.
    pub(super) fn character(&mut self, ranges: &[Range], negated: bool) {
        if self.count >= MAX_STATES {
            return self.give_up();
        }
        let (begin, state) = (self.count, START.wrapping_shl(self.count));
        for (states, character) in self.automaton.entered.iter_mut().zip(0..) {
            *states |= if contains(ranges, character) != negated { state } else { 0 };
        }
        self.count = begin.saturating_add(1);
        self.append(Piece { heads: state, tails: state, ..Piece::nothing(begin) });
    }

    /// `^` or `\A`, or else `$` or `\z`.
    pub(super) fn assertion(&mut self, asserts_start: bool) {
        self.append(Piece { asserts_start, asserts_end: !asserts_start, ..Piece::empty(self.count) });
    }

    pub(super) fn open_group(&mut self) {
        self.outer.push(self.level);
        self.begin_alternative(Piece::nothing(self.count));
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
        self.begin_alternative(alternatives);
    }

    /// Repeats the newest piece: writes it as often as it may come, the last one in a circle if there is no end to it.
    pub(super) fn repeat(&mut self, (min, max): Times) {
        let once = self.level.newest;
        let width = self.count.saturating_sub(once.begin);
        let copies = max.unwrap_or(min.max(1));
        let end = once.begin.saturating_add(copies.saturating_mul(width));
        // What asserts the start or the end cannot come twice.
        if once.asserts_start || once.asserts_end || end > MAX_STATES {
            return self.give_up();
        }
        self.copy_up_to(end, once.begin, width);
        let mut whole = Piece::empty(once.begin);
        let mut piece = once;
        for copy in 1..=copies {
            piece.is_empty = once.is_empty || copy > min;
            if max.is_none() && copy == copies {
                self.link(piece.tails, piece.heads);
            }
            whole = self.in_sequence(whole, piece);
            (piece.heads, piece.tails) = (piece.heads.wrapping_shl(width), piece.tails.wrapping_shl(width));
        }
        self.level.newest = whole;
    }

    /// The pattern needs what no automaton has.
    pub(super) fn give_up(&mut self) {
        self.gave_up = true;
    }

    /// The automaton of the whole pattern; `None` if it had to be given up.
    pub(super) fn finish(mut self) -> Option<Box<Automaton>> {
        let pattern = self.all_alternatives();
        self.link(START, pattern.heads);
        self.automaton.end_in(pattern.tails | if pattern.is_empty { START } else { 0 });
        (!self.gave_up).then_some(self.automaton)
    }

    fn begin_alternative(&mut self, alternatives: Piece) {
        let empty = Piece::empty(self.count);
        self.level = Level { alternatives, sequence: empty, newest: empty };
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
        for (followers, state) in self.automaton.followers.iter_mut().zip(0..) {
            *followers |= if tails.wrapping_shr(state) & 1 != 0 { heads } else { 0 };
        }
    }

    /// Writes the states from `begin` on again and again, each `width` after what it is a copy of.
    fn copy_up_to(&mut self, end: u32, begin: u32, width: u32) {
        for original in begin..end.saturating_sub(width) {
            let state = START.wrapping_shl(original);
            for states in &mut self.automaton.entered {
                *states |= (*states & state).wrapping_shl(width);
            }
            let followers = self.automaton.followers.get(original as usize).copied().unwrap_or(0);
            let copy = self.automaton.followers.get_mut(original.saturating_add(width) as usize);
            copy.into_iter().for_each(|copy| *copy = followers.wrapping_shl(width));
        }
        self.count = self.count.max(end);
    }
}
