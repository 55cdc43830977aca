//! Which of many routes may match a request: an index over what they demand.
//!
//! A request's values are looked up once for each field that the index knows; what comes back are a few routes, each of which
//! is judged as if there were no index. So the index may name a route in vain, and must never leave out one that matches:
//!
//! - [`demand`] reads off a condition what the values of a field have to be like;
//! - [`plan`] picks for each route the one demand by which it is to be found, the rarest among all routes;
//! - [`buckets`] holds the routes by the hash of their demand, in the order of the rules;
//! - what demands nothing that can be looked up is tried one by one, after everything else.

mod buckets;
mod demand;
mod plan;

use super::field::Field;
use super::view::View;
use buckets::{Buckets, Hash};
use demand::Kind;

/// With more fields in the index, the values of a request are fewer: they are looked up instead.
const MAX_FIELDS_IN_TURN: usize = 8;

/// An index over routes, which it knows by their positions.
#[derive(Debug)]
pub(super) struct Index {
    /// By field, ascending.
    lookups: Box<[Lookup]>,
    buckets: Buckets,
    /// Routes that cannot be looked up, in order.
    rest: Box<[u32]>,
}

/// How the values of one field are looked up.
#[derive(Debug)]
struct Lookup {
    field: Field,
    /// The field's number in the keys of the buckets.
    number: u32,
    /// Length of the longest value that a route demands as a whole; longer ones need no look.
    longest_whole: Option<usize>,
    /// The same for elements between semicolons.
    longest_element: Option<usize>,
    /// Lengths of the beginnings that routes demand, ascending.
    starts: Vec<usize>,
}

impl Index {
    /// The first position of a route that matches. Of each group of routes that a value leads to, in order, only those
    /// before the best match so far are tried, so the groups need not be merged. A route may be tried again: `is_match` is
    /// to remember.
    pub(super) fn first(&self, view: &View<'_>, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best = u32::MAX;
        let mut look_up = |lookup: &Lookup, value: &[u8]| {
            lookup.for_each_key(value, |key| {
                best = self.buckets.find(key, best).find(|route| is_match(*route)).unwrap_or(best);
            });
            best == 0
        };
        if self.lookups.len() <= MAX_FIELDS_IN_TURN {
            for lookup in &self.lookups {
                view.any(lookup.field, |value| look_up(lookup, value));
            }
        } else {
            self.look_up_what_is_there(view, &mut look_up);
        }
        let rest = self.rest.iter().copied().take_while(|route| *route < best).find(|route| is_match(*route));
        rest.or((best != u32::MAX).then_some(best))
    }

    /// Looks up the fields that the request has.
    fn look_up_what_is_there(&self, view: &View<'_>, look_up: &mut impl FnMut(&Lookup, &[u8]) -> bool) {
        let mut in_field = |lookup: &Lookup| {
            view.any(lookup.field, |value| look_up(lookup, value));
        };
        let headers = self.lookups.partition_point(|lookup| lookup.field < *Field::HEADERS.start());
        let others = self.lookups.partition_point(|lookup| lookup.field <= *Field::HEADERS.end());
        let (before, after) = (self.lookups.get(..headers), self.lookups.get(others..));
        before.into_iter().chain(after).flatten().for_each(&mut in_field);
        if headers == others {
            return;
        }
        for field in view.header_fields() {
            if let Ok(place) = self.lookups.binary_search_by_key(&field, |lookup| lookup.field) {
                self.lookups.get(place).into_iter().for_each(&mut in_field);
            }
        }
    }
}

impl Lookup {
    fn new(field: Field, number: u32) -> Self {
        Self { field, number, longest_whole: None, longest_element: None, starts: Vec::new() }
    }

    /// Makes room for a demand.
    fn expect(&mut self, kind: Kind, length: usize) {
        match kind {
            Kind::Whole => self.longest_whole = self.longest_whole.max(Some(length)),
            Kind::Element => self.longest_element = self.longest_element.max(Some(length)),
            Kind::Start => {
                if let Err(position) = self.starts.binary_search(&length) {
                    self.starts.insert(position, length);
                }
            }
        }
    }

    /// The keys of every demand that a value may satisfy.
    fn for_each_key(&self, value: &[u8], mut look_up: impl FnMut(u64)) {
        let fits = |longest: Option<usize>, value: &[u8]| longest.is_some_and(|longest| value.len() <= longest);
        if fits(self.longest_whole, value) {
            look_up(Hash::default().with(value).key(self.number, Kind::Whole));
        }
        let (mut hash, mut done) = (Hash::default(), 0);
        for length in &self.starts {
            let Some(more) = value.get(done..*length) else { break };
            (hash, done) = (hash.with(more), *length);
            look_up(hash.key(self.number, Kind::Start));
        }
        if self.longest_element.is_some() {
            let elements = value.split(|byte| *byte == b';').filter(|element| fits(self.longest_element, element));
            elements.for_each(|element| look_up(Hash::default().with(element).key(self.number, Kind::Element)));
        }
    }
}
