//! Patterns that share one automaton.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::caches::{Cache, CacheSlot, RegexCaches};

/// The most patterns of one automaton. Every state of the automaton stores the state of each pattern.
pub(super) const MAX_PATTERNS: usize = 64;

/// The most instructions of an automaton with several patterns.
pub(super) const MAX_GROUP_PROGRAM: u32 = 4096;

/// The bytes of one automaton's cache. A large program gets the minimum that it needs.
const CACHE_BYTES: usize = 512 << 10;

/// A lazily built DFA over some patterns of a field.
#[derive(Debug)]
pub(super) struct Group {
    dfa: DFA,
    /// The indices of the patterns in the set.
    members: Box<[usize]>,
    slot: CacheSlot,
}

impl Group {
    /// `None` only if the engine cannot build the patterns. [`canary_config`] has limited their sizes.
    pub(super) fn new(patterns: &[(usize, Hir)], caches: &RegexCaches) -> Option<Self> {
        let hirs: Vec<&Hir> = patterns.iter().map(|(_, hir)| hir).collect();
        let config = thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).shrink(false);
        let nfa = NFA::compiler().configure(config).build_many_from_hir(&hirs).ok()?;
        // Without a minimum number of clears the DFA never gives up. In the worst case it builds one state for each
        // byte.
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(None);
        let dfa = dfa::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        Some(Self { dfa, members: patterns.iter().map(|(member, _)| *member).collect(), slot: caches.add() })
    }

    /// Reports every member that matches the whole value. Linear in the value. With a warm cache a byte costs about 2
    /// ns.
    pub(super) fn matches(&self, value: &[u8], caches: &RegexCaches, found: &mut dyn FnMut(usize)) {
        caches.with(self.slot, |cache| {
            let cache = match cache {
                Cache::Dfa(cache) => cache,
                empty => {
                    *empty = Cache::Dfa(Box::new(self.dfa.create_cache()));
                    let Cache::Dfa(cache) = empty else { return };
                    cache
                }
            };
            let Some(last) = self.walk(value, cache).filter(|state| state.is_match()) else { return };
            for index in 0..self.dfa.match_len(cache, last) {
                let pattern = self.dfa.match_pattern(cache, last, index);
                self.members.get(pattern.as_usize()).copied().into_iter().for_each(&mut *found);
            }
        });
    }

    /// The state after the whole value. `None` if no pattern can match any more.
    fn walk(&self, value: &[u8], cache: &mut dfa::Cache) -> Option<LazyStateID> {
        let input = Input::new(value).anchored(Anchored::Yes);
        let mut state = self.dfa.start_state_forward(cache, &input).ok()?;
        for byte in value {
            state = self.dfa.next_state(cache, state, *byte).ok()?;
            if state.is_tagged() && (state.is_dead() || state.is_quit()) {
                return None;
            }
        }
        self.dfa.next_eoi_state(cache, state).ok()
    }

    pub(super) fn memory_usage(&self) -> usize {
        let automata = self.dfa.memory_usage().saturating_add(self.dfa.get_nfa().memory_usage());
        automata.saturating_add(size_of_val(&*self.members))
    }
}
