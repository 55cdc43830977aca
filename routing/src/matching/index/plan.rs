//! By which of its demands each route is to be found.

use std::cmp::Reverse;

use canary_config::word_hash::WordMap;

use super::buckets::{Buckets, Hash};
use super::demand::{Demand, Kind};
use super::{Index, Lookup};
use crate::matching::condition::Condition;
use crate::matching::field::Field;
use crate::matching::field_regexes::FieldRegexes;

/// With fewer routes, trying them one by one is quicker than looking their fields up.
const MIN_ROUTES: usize = 8;
/// Routes that share a demand and are still few: then the field that more routes ask for is the better one, since every field
/// costs a lookup in each request.
const FEW: u32 = 4;

impl Index {
    /// An index over the conditions of each route, in order; `None` where they are too few to need one.
    pub(in crate::matching) fn new(routes: &[&[Condition]], sets: &[FieldRegexes]) -> Option<Self> {
        (routes.len() >= MIN_ROUTES).then(|| Plan::new(routes, sets).carry_out())
    }
}

/// An index in the making.
struct Plan<'r> {
    routes: &'r [&'r [Condition]],
    sets: &'r [FieldRegexes],
    /// How many routes have each demand.
    demands: Tally,
    /// How many conditions are on each field.
    fields: WordMap<(Field, u8), u32>,
    numbers: WordMap<Field, usize>,
    lookups: Vec<Lookup>,
    keyed: Vec<(u64, u32)>,
    rest: Vec<u32>,
}

impl<'r> Plan<'r> {
    /// Counts what the routes demand.
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

    /// Files each route under its best demand.
    fn carry_out(mut self) -> Index {
        for (position, conditions) in (0_u32..).zip(self.routes) {
            let best = demands_of(conditions, self.sets).min_by_key(|demand| self.rank(demand));
            match best {
                Some(demand) => self.file(&demand, position),
                None => self.rest.push(position),
            }
        }
        self.lookups.retain(Lookup::is_used);
        self.lookups.sort_unstable_by_key(|lookup| lookup.field);
        Index { lookups: self.lookups.into(), buckets: Buckets::new(&self.keyed), rest: self.rest.into() }
    }

    /// The rarest first, then the most popular field; whole values before others, which take more lookups.
    fn rank(&self, demand: &Demand<'_>) -> (u32, Reverse<u32>, Kind) {
        let popularity = self.fields.get(&(demand.field, demand.kind as u8)).copied().unwrap_or_default();
        let count = self.numbers.get(&demand.field).map_or(0, |number| self.demands.get(key(demand, *number)));
        (count.max(FEW), Reverse(popularity), demand.kind)
    }

    fn number(&mut self, field: Field) -> usize {
        let next = self.lookups.len();
        let number = *self.numbers.entry(field).or_insert(next);
        if number == next {
            self.lookups.push(Lookup::new(field, u32::try_from(number).unwrap_or(u32::MAX)));
        }
        number
    }

    fn file(&mut self, demand: &Demand<'_>, position: u32) {
        let number = self.number(demand.field);
        if let Some(lookup) = self.lookups.get_mut(number) {
            lookup.expect(demand.kind, demand.text.len());
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

/// Counts by key. Keys may share a counter: a count is never too small, which does for a choice between good and bad.
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
