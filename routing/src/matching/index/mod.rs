//! An index that finds the few of many routes that may match a request.
//!
//! The values of a request are looked up once for each indexed field. Each route that this finds is then tried by its
//! conditions. So the index may find a route that does not match, and must never miss one that does:
//!
//! - [`demand`] extracts from a condition what the values of a field must contain.
//! - [`plan`] selects for each route one demand, the rarest among all routes.
//! - [`buckets`] stores the routes by the hash of their demand, in the order of the rules.
//! - Routes without such a demand are tried one by one after all others.

mod buckets;
mod demand;
mod plan;

use super::field::Field;
use super::view::RequestView;
use buckets::{Buckets, Hash};
use demand::DemandKind;

/// With more indexed fields than this, the headers of the request are looked up among the fields instead.
const MAX_FIELDS_ONE_BY_ONE: usize = 8;

/// An index over routes. Routes are numbered by position.
#[derive(Debug)]
pub(super) struct Index {
    /// Sorted by field.
    lookups: Box<[Lookup]>,
    buckets: Buckets,
    /// Routes without a demand, in order.
    rest: Box<[u32]>,
}

/// How the values of one field are looked up.
#[derive(Debug)]
struct Lookup {
    field: Field,
    /// The field's number in the keys of the buckets.
    number: u32,
    /// The length of the longest value that a route demands as a whole. Longer values are not looked up.
    longest_whole: Option<usize>,
    /// The same for elements between semicolons.
    longest_element: Option<usize>,
    /// The lengths of the demanded prefixes, ascending.
    starts: Vec<usize>,
}

impl Index {
    /// The position of the first route that matches. A value leads to a group of routes in order. Only those before the
    /// best match so far are tried, so the groups need no merge. A route may be tried again; `is_match` must remember
    /// its result.
    pub(super) fn first(&self, view: &RequestView<'_>, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best = u32::MAX;
        let mut look_up = |lookup: &Lookup, value: &[u8]| {
            lookup.for_each_key(value, |key| {
                best = self.buckets.find(key, best).find(|route| is_match(*route)).unwrap_or(best);
            });
            best == 0
        };
        if self.lookups.len() <= MAX_FIELDS_ONE_BY_ONE {
            for lookup in &self.lookups {
                view.any(lookup.field, |value| look_up(lookup, value));
            }
        } else {
            self.look_up_present_fields(view, &mut look_up);
        }
        let rest = self.rest.iter().copied().take_while(|route| *route < best).find(|route| is_match(*route));
        rest.or((best != u32::MAX).then_some(best))
    }

    /// Looks up the fields that the request has.
    fn look_up_present_fields(&self, view: &RequestView<'_>, look_up: &mut impl FnMut(&Lookup, &[u8]) -> bool) {
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

    /// Adds the length of a demand.
    fn add_length(&mut self, kind: DemandKind, length: usize) {
        match kind {
            DemandKind::Whole => self.longest_whole = self.longest_whole.max(Some(length)),
            DemandKind::Element => self.longest_element = self.longest_element.max(Some(length)),
            DemandKind::Start => {
                if let Err(position) = self.starts.binary_search(&length) {
                    self.starts.insert(position, length);
                }
            }
        }
    }

    /// Calls `look_up` with the key of every demand that the value may meet.
    fn for_each_key(&self, value: &[u8], mut look_up: impl FnMut(u64)) {
        let fits = |longest: Option<usize>, value: &[u8]| longest.is_some_and(|longest| value.len() <= longest);
        if fits(self.longest_whole, value) {
            look_up(Hash::default().with(value).key(self.number, DemandKind::Whole));
        }
        let (mut hash, mut done) = (Hash::default(), 0);
        for length in &self.starts {
            let Some(more) = value.get(done..*length) else { break };
            (hash, done) = (hash.with(more), *length);
            look_up(hash.key(self.number, DemandKind::Start));
        }
        if self.longest_element.is_some() {
            let elements = value.split(|byte| *byte == b';').filter(|element| fits(self.longest_element, element));
            elements.for_each(|element| look_up(Hash::default().with(element).key(self.number, DemandKind::Element)));
        }
    }
}
