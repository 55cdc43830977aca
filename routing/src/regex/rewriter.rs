//! `uriRegexRewrite`.

use std::sync::Arc;

use canary_config::regex::{Part, Substitution, parse};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};

use super::caches::{Cache, CacheSlot, RegexCaches};
use super::captures::{Bounds, Finder};
use super::live_sets::LiveSets;
use super::reversed::Reversed;

/// Replaces every match of a pattern, as RE2's `GlobalReplace` does.
#[derive(Debug)]
pub(crate) struct Rewriter {
    /// `None` only if the engine cannot build the pattern. [`canary_config`] has limited its size.
    reversed: Option<Reversed>,
    parts: Vec<Part>,
    slot: CacheSlot,
    caches: Arc<RegexCaches>,
}

impl Rewriter {
    /// Compiles a substitution. Time and memory are linear in the size of its program.
    #[must_use]
    pub(crate) fn new(substitution: &Substitution, caches: &Arc<RegexCaches>) -> Self {
        let config = thompson::Config::new().utf8(false).which_captures(WhichCaptures::All);
        let nfa = parse(substitution.regex().as_str())
            .ok()
            .and_then(|hir| NFA::compiler().configure(config).build_from_hir(&hir).ok());
        let reversed = nfa.map(Reversed::new);
        caches.count(reversed.as_ref().map_or(0, Reversed::memory_usage));
        Self { reversed, parts: substitution.parts().to_vec(), slot: caches.add(), caches: Arc::clone(caches) }
    }

    /// The text with every match replaced: leftmost first, without overlap.
    ///
    /// Linear in the text: one pass from its end, and one pass over the matches. If the cache was reset, the later part
    /// costs one more pass. With a warm cache each step is a look-up. A step that the cache does not have costs a pass
    /// over the program.
    #[must_use]
    pub(crate) fn rewrite(&self, text: &[u8]) -> Vec<u8> {
        let Some(reversed) = &self.reversed else { return text.to_vec() };
        self.caches.with(self.slot, |cache| {
            if !matches!(cache, Cache::LiveSets(_)) {
                *cache = Cache::LiveSets(Box::default());
            }
            let Cache::LiveSets(cache) = cache else { return text.to_vec() };
            let live = LiveSets::new(reversed, cache, text);
            let result = self.replace_all(reversed, live, text);
            cache.shrink();
            result
        })
    }

    /// RE2's loop. An empty match right after the previous match is skipped, together with one character.
    fn replace_all(&self, reversed: &Reversed, mut live: LiveSets<'_>, text: &[u8]) -> Vec<u8> {
        if live.next_start(0).is_none() {
            return text.to_vec();
        }
        let mut finder = Finder::new(reversed, text);
        let mut result = Vec::with_capacity(text.len());
        let mut position = 0;
        let mut last_end = None;
        while let Some(start) = live.next_start(position) {
            result.extend_from_slice(text.get(position..start).unwrap_or_default());
            position = start;
            let Some(bounds) = finder.find(&mut live, start) else { break };
            let end = bounds.group(0).map_or(start, |range| range.end);
            if end == start && last_end == Some(start) {
                let character = character_len(text.get(start..).unwrap_or_default());
                position = start.saturating_add(character);
                result.extend_from_slice(text.get(start..position).unwrap_or_default());
                if start == text.len() {
                    break;
                }
                continue;
            }
            self.expand(bounds, text, &mut result);
            position = end;
            last_end = Some(end);
        }
        result.extend_from_slice(text.get(position..).unwrap_or_default());
        result
    }

    fn expand(&self, bounds: &Bounds, text: &[u8], result: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => result.extend_from_slice(text.as_bytes()),
                Part::Group(group) => {
                    let range = bounds.group(*group).unwrap_or_default();
                    result.extend_from_slice(text.get(range).unwrap_or_default());
                }
            }
        }
    }
}

/// The length of the first character of a text. 1 if the text does not start with a valid character.
fn character_len(text: &[u8]) -> usize {
    match text {
        [0xC2..=0xDF, 0x80..=0xBF, ..] => 2,
        [0xE0, 0xA0..=0xBF, 0x80..=0xBF, ..] | [0xE1..=0xEF, 0x80..=0xBF, 0x80..=0xBF, ..] => 3,
        [0xF0, 0x90..=0xBF, 0x80..=0xBF, 0x80..=0xBF, ..]
        | [0xF1..=0xF3, 0x80..=0xBF, 0x80..=0xBF, 0x80..=0xBF, ..]
        | [0xF4, 0x80..=0x8F, 0x80..=0xBF, 0x80..=0xBF, ..] => 4,
        _ => 1,
    }
}
