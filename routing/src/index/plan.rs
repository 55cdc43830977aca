//! By which of its demands each route is to be found.

use super::buckets::{Buckets, Hash};
use super::demand::{Demand, Kind};
use super::{Index, Lookup};
use crate::field::Field;
use crate::route::Route;

/// Routes that share a demand and are still few: then the field that more routes ask for is the better one, since every field
/// costs a lookup in each request.
const FEW: u32 = 4;

/// An index in the making.
pub(super) struct Plan<'r> {
    routes: &'r [Route],
    /// How many routes have each demand.
    demands: Tally,
    /// How many conditions are on each field.
    fields: Tally,
    lookups: Vec<Lookup>,
    keyed: Vec<(u64, u32)>,
    rest: Vec<u32>,
}

impl<'r> Plan<'r> {
    /// Counts what the routes demand.
    pub(super) fn new(routes: &'r [Route]) -> Self {
        let (mut demands, mut fields) = (Tally::new(routes.len()), Tally::new(routes.len()));
        for demand in routes.iter().flat_map(demands_of) {
            demands.add(identity(&demand));
            fields.add(field_identity(&demand.field, demand.kind));
        }
        Self { routes, demands, fields, lookups: Vec::new(), keyed: Vec::new(), rest: Vec::new() }
    }

    /// Files each route under its best demand.
    pub(super) fn carry_out(mut self) -> Index {
        for (position, route) in (0_u32..).zip(self.routes) {
            let best = demands_of(route).min_by_key(|demand| self.rank(demand));
            match best {
                Some(demand) => self.file(demand, position),
                None => self.rest.push(position),
            }
        }
        Index { lookups: self.lookups, buckets: Buckets::new(&self.keyed), rest: self.rest.into() }
    }

    /// The rarest first, then the most popular field; whole values before others, which take more lookups.
    fn rank(&self, demand: &Demand<'_>) -> (u32, std::cmp::Reverse<u32>, Kind) {
        let popularity = self.fields.get(field_identity(&demand.field, demand.kind));
        (self.demands.get(identity(demand)).max(FEW), std::cmp::Reverse(popularity), demand.kind)
    }

    fn file(&mut self, demand: Demand<'_>, position: u32) {
        let known = self.lookups.iter().position(|lookup| lookup.field == demand.field);
        let number = known.unwrap_or(self.lookups.len());
        if known.is_none() {
            self.lookups.push(Lookup::new(demand.field.into_owned()));
        }
        if let (Some(lookup), Ok(field)) = (self.lookups.get_mut(number), u32::try_from(number)) {
            lookup.expect(demand.kind, demand.text.len());
            self.keyed.push((Hash::default().with(demand.text).key(field, demand.kind), position));
        }
    }
}

fn demands_of(route: &Route) -> impl Iterator<Item = Demand<'_>> {
    route.matcher.iter().flat_map(|matcher| Demand::all(matcher))
}

fn identity(demand: &Demand<'_>) -> u64 {
    hash_of_field(&demand.field).with(b"\0").with(demand.text).key(0, demand.kind)
}

fn field_identity(field: &Field<'_>, kind: Kind) -> u64 {
    hash_of_field(field).key(0, kind)
}

fn hash_of_field(field: &Field<'_>) -> Hash {
    let hash = |kind: u8| Hash::default().with(&[kind]);
    match field {
        Field::Uri => hash(0),
        Field::Method => hash(1),
        Field::Authority => hash(2),
        Field::Scheme => hash(3),
        Field::Path => hash(4),
        Field::Header(name) => hash(5).with(name.as_bytes()),
        Field::Query(name) => hash(6).with(name.as_bytes()),
        Field::Claim(keys) => keys.iter().fold(hash(7), |hash, key| hash.with(key.as_bytes()).with(b".")),
    }
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
