//! Which of many routes may match a request: an index over what they demand.
//!
//! A request's values are looked up once for each field that the index knows; what comes back are a few routes, and
//! [`HttpMatch::is_match`](crate::config::HttpMatch) judges each of them as if there were no index. So the index may name a
//! route in vain, and must never leave out one that matches:
//!
//! - [`demand`] reads off an entry's conditions what the values of a field have to be like;
//! - [`plan`] picks for each route the one demand by which it is to be found, the rarest among all routes;
//! - [`buckets`] holds the routes by the hash of their demand, in the order of the rules;
//! - what demands nothing that can be looked up is tried one by one, after everything else.

mod buckets;
mod demand;
mod plan;

use crate::field::Field;
use crate::request::RequestView;
use crate::route::Route;
use buckets::Buckets;
pub(crate) use buckets::Hash;
use demand::Kind;

/// With fewer routes, trying them one by one is quicker than looking their fields up.
const FEWEST_ROUTES: usize = 8;

/// An index over routes, which it knows by their positions.
#[derive(Debug)]
pub(crate) struct Index {
    lookups: Vec<Lookup>,
    buckets: Buckets,
    /// Routes that cannot be looked up, in order.
    rest: Box<[u32]>,
}

/// How the values of one field are looked up.
#[derive(Debug)]
struct Lookup {
    field: Field<'static>,
    /// Length of the longest value that a route demands as a whole; longer ones need no look.
    longest_whole: Option<usize>,
    /// The same for elements between semicolons.
    longest_element: Option<usize>,
    /// Lengths of the beginnings that routes demand, ascending.
    starts: Vec<usize>,
}

impl Index {
    /// An index over routes; `None` where they are too few to need one.
    pub(crate) fn new(routes: &[Route]) -> Option<Self> {
        (routes.len() >= FEWEST_ROUTES).then(|| plan::Plan::new(routes).carry_out())
    }

    /// The first position of a route that matches. Of each group of routes that a value leads to, in order, only those
    /// before the best match so far are tried, so the groups need not be merged.
    pub(crate) fn first(&self, request: &impl RequestView, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best = u32::MAX;
        for (number, lookup) in (0_u32..).zip(&self.lookups) {
            lookup.field.any(request, |value| {
                lookup.for_each_key(number, value, |key| {
                    best = self.buckets.find(key, best).find(|route| is_match(*route)).unwrap_or(best);
                });
                best == 0
            });
        }
        let rest = self.rest.iter().copied().take_while(|route| *route < best).find(|route| is_match(*route));
        rest.or((best != u32::MAX).then_some(best))
    }
}

impl Lookup {
    fn new(field: Field<'static>) -> Self {
        Self { field, longest_whole: None, longest_element: None, starts: Vec::new() }
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
    fn for_each_key(&self, number: u32, value: &[u8], mut look_up: impl FnMut(u64)) {
        let fits = |longest: Option<usize>, value: &[u8]| longest.is_some_and(|longest| value.len() <= longest);
        if fits(self.longest_whole, value) {
            look_up(Hash::default().with(value).key(number, Kind::Whole));
        }
        let (mut hash, mut done) = (Hash::default(), 0);
        for length in &self.starts {
            let Some(more) = value.get(done..*length) else { break };
            (hash, done) = (hash.with(more), *length);
            look_up(hash.key(number, Kind::Start));
        }
        if self.longest_element.is_some() {
            let elements = value.split(|byte| *byte == b';').filter(|element| fits(self.longest_element, element));
            elements.for_each(|element| look_up(Hash::default().with(element).key(number, Kind::Element)));
        }
    }
}
