//! Decides a whole value in one pass over its bytes.
//!
//! The automaton is Glushkov's: a state for each character that the pattern writes, and all states that are reached after a
//! byte in one word. It has no say about values with a newline, which `.`, `^` and `$` treat by the pattern's flags, nor about
//! characters outside ASCII; those are the engine's.

/// A set of states, the lowest bit for the first.
pub(super) type States = u64;

/// The most states that an automaton has.
pub(super) const MAX_STATES: u32 = States::BITS;

/// The state before the first byte.
pub(super) const START: States = 1;

/// A pattern's automaton. See [`Builder`](super::builder::Builder), which makes it.
#[derive(Clone)]
pub(super) struct Automaton {
    /// The states that each character of ASCII leads into.
    pub(super) entered: [States; 128],
    /// The states that follow each state; without what the next two fields say of it, once the automaton is ready.
    pub(super) followers: [States; MAX_STATES as usize],
    /// States that the next one follows.
    onward: States,
    /// States that follow themselves.
    staying: States,
    /// States that others follow.
    branching: States,
    /// States in which a value may end.
    last: States,
}

impl Automaton {
    pub(super) fn new() -> Self {
        Self { entered: [0; 128], followers: [0; MAX_STATES as usize], onward: 0, staying: 0, branching: 0, last: 0 }
    }

    /// Makes it ready for values, once it has all its states.
    pub(super) fn end_in(&mut self, last: States) {
        self.last = last;
        let mut state = START;
        for followers in &mut self.followers {
            let next = state.wrapping_shl(1);
            let when = |holds: bool| if holds { state } else { 0 };
            self.onward |= when(*followers & next != 0);
            self.staying |= when(*followers & state != 0);
            *followers &= !(state | next);
            self.branching |= when(*followers != 0);
            state = next;
        }
    }

    /// Whether the whole value matches; `None` where the engine has to say it.
    pub(super) fn is_match(&self, value: &[u8]) -> Option<bool> {
        let mut states = START;
        for byte in value {
            let entered = self.entered.get(usize::from(*byte)).filter(|_| *byte != b'\n')?;
            states = self.followers_of(states) & entered;
            if states == 0 {
                return Some(false);
            }
        }
        Some(states & self.last != 0)
    }

    fn followers_of(&self, states: States) -> States {
        let mut followers = (states & self.onward) << 1 | states & self.staying;
        let mut branching = states & self.branching;
        while let Some(others) = self.followers.get(branching.trailing_zeros() as usize) {
            followers |= others;
            branching &= branching.wrapping_sub(1);
        }
        followers
    }
}

#[cfg(test)]
mod tests {
    use crate::regex::re2;

    #[test]
    fn decides_what_it_can() {
        let rows: &[(&str, &str, &str, Option<bool>)] = &[
            ("a hit", ".*/item7/.*", "/shop/item7/1", Some(true)),
            ("a miss", ".*/item7/.*", "/shop/item8/1", Some(false)),
            ("without case", "(?i).*(mobile|iphone).*", "My-iPhone", Some(true)),
            ("Istio's idiom", "^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason", Some(true)),
            ("asserted in alternatives", "(^|.*; )user=jason($|;.*)", "a=b; user=jason", Some(true)),
            ("empty", "a?", "", Some(true)),
            ("63 characters", "a{63}", &"a".repeat(63), Some(true)),
            ("no time", "b(a{9}){0}(c)", "bc", Some(true)),
            ("no time, and none of its characters", "b(a{9}){0}(c)", "ba", Some(false)),
            ("a missed start before a newline", "ab", "b\na", Some(false)),
            ("newline", "a.*", "a\n", None),
            ("outside ASCII", "a.*", "aü", None),
        ];
        for (name, pattern, value, expected) in rows {
            let (_, automaton) = re2::translate(pattern).expect(name);
            assert_eq!(automaton.expect(name).is_match(value.as_bytes()), *expected, "{name}: {pattern:?}");
        }
        let rows = [
            ("64 characters", "a{64}"),
            ("word boundary", r"\ba"),
            ("a start that may come twice", "(^a)*"),
            ("a start after a character", "a(^|b)"),
            ("an end before a character", "(a|$)b"),
        ];
        for (name, pattern) in rows {
            assert!(re2::translate(pattern).expect(name).1.is_none(), "{name}: {pattern:?}");
        }
    }
}
