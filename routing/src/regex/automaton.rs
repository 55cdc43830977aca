//! Decides a whole value in one pass over its bytes.
//!
//! The automaton is Glushkov's: a state for each character that the pattern writes, and all states that are reached after a
//! byte in one word. It has no say about values with a newline, which `.`, `^` and `$` treat by the pattern's flags, nor about
//! characters outside ASCII; those are the engine's.

/// A set of states, the lowest bit for the first.
pub(super) type States = u64;

/// The most states that an automaton has.
pub(super) const MAX_STATES: usize = States::BITS as usize;

/// The state before the first byte.
pub(super) const START: States = 1;

/// How many characters there are in ASCII.
pub(super) const ASCII: usize = 128;

/// The class of a character that is the engine's.
const NO_CLASS: u8 = u8::MAX;

/// A pattern's automaton. See [`Builder`](super::builder::Builder), which makes it.
#[derive(Clone)]
pub(super) struct Automaton {
    /// Characters that lead into the same states share a class.
    classes: [u8; ASCII],
    /// The states that a class leads into.
    entered: Box<[States]>,
    /// States that the next one follows.
    onward: States,
    /// States that follow themselves.
    staying: States,
    /// States that others follow.
    branching: States,
    /// Those others, by state.
    others: Box<[States]>,
    /// States in which a value may end.
    last: States,
}

impl Automaton {
    /// Takes the states that each character leads into, and those that follow each state.
    pub(super) fn new(by_character: &[States; ASCII], followers: &[States], last: States) -> Self {
        let mut entered: Vec<States> = Vec::new();
        let mut classes = by_character.map(|states| {
            let known = entered.iter().position(|known| *known == states);
            let class = known.unwrap_or_else(|| {
                entered.push(states);
                entered.len().saturating_sub(1)
            });
            u8::try_from(class).unwrap_or(NO_CLASS)
        });
        classes.get_mut(usize::from(b'\n')).into_iter().for_each(|class| *class = NO_CLASS);

        let (mut onward, mut staying, mut branching) = (0, 0, 0);
        let numbered = followers.iter().scan(START, |next, followers| {
            let state = *next;
            *next = state.wrapping_shl(1);
            Some((state, followers))
        });
        let others = numbered.map(|(state, followers)| {
            let next = state.checked_mul(2).unwrap_or(0);
            let others = followers & !(state | next);
            let when = |holds: bool| if holds { state } else { 0 };
            onward |= when(followers & next != 0);
            staying |= when(followers & state != 0);
            branching |= when(others != 0);
            others
        });
        let others = others.collect();
        Self { classes, entered: entered.into(), onward, staying, branching, others, last }
    }

    /// Whether the whole value matches; `None` where the engine has to say it.
    pub(super) fn is_match(&self, value: &[u8]) -> Option<bool> {
        let mut states = START;
        for byte in value {
            let class = self.classes.get(usize::from(*byte))?;
            states = self.followers(states) & self.entered.get(usize::from(*class))?;
            if states == 0 {
                return Some(false);
            }
        }
        Some(states & self.last != 0)
    }

    fn followers(&self, states: States) -> States {
        let mut followers = (states & self.onward) << 1 | states & self.staying;
        let mut branching = states & self.branching;
        while let Some(others) = self.others.get(branching.trailing_zeros() as usize) {
            followers |= others;
            branching &= branching.wrapping_sub(1);
        }
        followers
    }
}
