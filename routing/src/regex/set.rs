//! All regexes of one field.

use std::cell::OnceCell;
use std::sync::Arc;

use canary_config::regex::{Regex, parse};
use regex_syntax::hir::Hir;

use super::caches::RegexCaches;
use super::dots;
use super::group::{Group, MAX_GROUP_PROGRAM, MAX_PATTERNS};
use super::pieces;
use super::plain_test::PlainTest;

/// Patterns that must match the same value as a whole.
#[derive(Debug)]
pub(crate) struct RegexSet {
    plain: Vec<(usize, PlainTest)>,
    groups: Vec<Group>,
    caches: Arc<RegexCaches>,
}

impl RegexSet {
    /// Compiles patterns. Time and memory are linear in the sizes of their programs.
    #[must_use]
    pub(crate) fn new(patterns: &[&Regex], caches: &Arc<RegexCaches>) -> Self {
        let mut set = Self { plain: Vec::new(), groups: Vec::new(), caches: Arc::clone(caches) };
        let mut group: Vec<(usize, Hir)> = Vec::new();
        let mut group_size = 0_u32;
        for (index, regex) in patterns.iter().enumerate() {
            let Ok(hir) = parse(regex.as_str()) else { continue };
            if let Some(test) = PlainTest::of(&pieces::of(&hir)) {
                set.plain.push((index, test));
                continue;
            }
            let size = group_size.saturating_add(regex.program_size());
            if group.len() >= MAX_PATTERNS || size > MAX_GROUP_PROGRAM {
                set.add_group(&std::mem::take(&mut group));
                group_size = 0;
            }
            group_size = group_size.saturating_add(regex.program_size());
            group.push((index, hir));
        }
        set.add_group(&group);
        caches.count(set.memory_usage());
        set
    }

    fn add_group(&mut self, group: &[(usize, Hir)]) {
        if !group.is_empty() {
            self.groups.extend(Group::new(group, &self.caches));
        }
    }

    /// Calls `found` with the index of every pattern that matches the whole value.
    ///
    /// The cost is one pass for each 64 patterns that need an automaton. Allocates nothing if the caches are warm.
    pub(crate) fn matches(&self, value: &[u8], found: &mut impl FnMut(usize)) {
        let dots = OnceCell::new();
        let is_dots = || *dots.get_or_init(|| dots::is_match(value));
        for (index, test) in &self.plain {
            if test.is_match(value, is_dots) {
                found(*index);
            }
        }
        for group in &self.groups {
            group.matches(value, &self.caches, found);
        }
    }

    /// Whether any pattern matches the whole value.
    #[must_use]
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        let mut any = false;
        self.matches(value, &mut |_| any = true);
        any
    }

    /// Bytes on the heap, without caches.
    fn memory_usage(&self) -> usize {
        let plain =
            self.plain.iter().map(|(_, test)| test.memory_usage().saturating_add(size_of::<(usize, PlainTest)>()));
        let groups = self.groups.iter().map(|group| group.memory_usage().saturating_add(size_of::<Group>()));
        plain.chain(groups).fold(0, usize::saturating_add)
    }
}
