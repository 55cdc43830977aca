//! Selects the demand by which each route is found.

use std::cmp::Reverse;

use canary_config::word_hash::WordMap;

use super::buckets::{Buckets, Hash};
use super::demand::{Demand, DemandKind};
use super::{Index, Lookup};
use crate::matching::condition::Condition;
use crate::matching::field::Field;
use crate::matching::field_regexes::FieldRegexes;

/// With fewer routes, trying them one by one is faster than an index.
const MIN_ROUTES: usize = 8;
/// Up to this number, routes that share a demand are few. Among such demands the field that more routes use is better,
/// because each field costs a look-up for every request.
const FEW_ROUTES: u32 = 4;

impl Index {
    /// Builds an index over the conditions of each route, in order. `None` if the routes are too few.
    pub(in crate::matching) fn new(routes: &[&[Condition]], sets: &[FieldRegexes]) -> Option<Self> {
        (routes.len() >= MIN_ROUTES).then(|| Plan::new(routes, sets).build())
    }
}

/// The state while an index is built.
struct Plan<'r> {
    routes: &'r [&'r [Condition]],
    sets: &'r [FieldRegexes],
    /// The number of routes with each demand.
    demands: Tally,
    /// The number of conditions on each field.
    fields: WordMap<(Field, u8), u32>,
    numbers: WordMap<Field, usize>,
    lookups: Vec<Lookup>,
    keyed: Vec<(u64, u32)>,
    rest: Vec<u32>,
}

impl<'r> Plan<'r> {
    /// Counts the demands of the routes.
    fn new(routes: &'r [&'r [Condition]], sets: &'r [FieldRegexes]) -> Self {
        let mut plan = Self {
            routes,
            sets,
            demands: Tally::new(routes.len()),
            fields: WordMap::default(),
            numbers: WordMap::default(),
            lookups: Vec::new(),
            keyed: Vec::with_capacity(routes.len()),
            rest: Vec::new(),
        };
        for demand in routes.iter().flat_map(|conditions| demands_of(conditions, sets)) {
            let number = plan.number(demand.field);
            plan.demands.add(key(&demand, number));
            let count = plan.fields.entry((demand.field, demand.kind as u8)).or_default();
            *count = count.saturating_add(1);
        }
        plan
    }

    /// Adds each route under its best demand.
    fn build(mut self) -> Index {
        for (position, conditions) in (0_u32..).zip(self.routes) {
            let best = demands_of(conditions, self.sets).min_by_key(|demand| self.rank(demand));
            match best {
                Some(demand) => self.insert(&demand, position),
                None => self.rest.push(position),
            }
        }
        self.lookups.retain(Lookup::is_used);
        self.lookups.sort_unstable_by_key(|lookup| lookup.field);
        Index { lookups: self.lookups.into(), buckets: Buckets::new(&self.keyed), rest: self.rest.into() }
    }

    /// Sorts demands: the rarest first, then the most used field, then whole values, which take the fewest look-ups.
    fn rank(&self, demand: &Demand<'_>) -> (u32, Reverse<u32>, DemandKind) {
        let popularity = self.fields.get(&(demand.field, demand.kind as u8)).copied().unwrap_or_default();
        let count = self.numbers.get(&demand.field).map_or(0, |number| self.demands.get(key(demand, *number)));
        (count.max(FEW_ROUTES), Reverse(popularity), demand.kind)
    }

    fn number(&mut self, field: Field) -> usize {
        let next = self.lookups.len();
        let number = *self.numbers.entry(field).or_insert(next);
        if number == next {
            self.lookups.push(Lookup::new(field, u32::try_from(number).unwrap_or(u32::MAX)));
        }
        number
    }

    fn insert(&mut self, demand: &Demand<'_>, position: u32) {
        let number = self.number(demand.field);
        if let Some(lookup) = self.lookups.get_mut(number) {
            lookup.add_length(demand.kind, demand.text.len());
            self.keyed.push((key(demand, number), position));
        }
    }
}

impl Lookup {
    fn is_used(&self) -> bool {
        self.longest_whole.is_some() || self.longest_element.is_some() || !self.starts.is_empty()
    }
}

fn demands_of<'r>(conditions: &'r [Condition], sets: &'r [FieldRegexes]) -> impl Iterator<Item = Demand<'r>> {
    conditions.iter().filter_map(|condition| Demand::of(condition, sets))
}

fn key(demand: &Demand<'_>, number: usize) -> u64 {
    Hash::default().with(demand.text).key(u32::try_from(number).unwrap_or(u32::MAX), demand.kind)
}

/// Counts by key. Keys may share a counter, so a count may be too large but never too small. That is accurate enough
/// here.
struct Tally {
    shift: u32,
    counts: Vec<u32>,
}

impl Tally {
    fn new(expected: usize) -> Self {
        let size = expected.saturating_mul(4).next_power_of_two().max(2);
        Self { shift: 64_u32.saturating_sub(size.trailing_zeros()), counts: vec![0; size] }
    }

    fn slot(&self, key: u64) -> usize {
        key.checked_shr(self.shift).and_then(|slot| usize::try_from(slot).ok()).unwrap_or(0)
    }

    fn add(&mut self, key: u64) {
        let slot = self.slot(key);
        self.counts.get_mut(slot).into_iter().for_each(|count| *count = count.saturating_add(1));
    }

    fn get(&self, key: u64) -> u32 {
        self.counts.get(self.slot(key)).copied().unwrap_or(0)
    }
}
