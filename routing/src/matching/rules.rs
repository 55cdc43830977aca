//! Rules in order, of which the first match counts.

use std::sync::Arc;

use canary_config::regex::Regex;
use canary_config::word_hash::WordMap;
use smallvec::SmallVec;

use super::condition::{Condition, Polarity, Test};
use super::field::Field;
use super::field_regexes::FieldRegexes;
use super::index::Index;
use super::view::RequestView;
use crate::regex::{PlainTest, RegexCaches, RegexSet, RequiredLiteral, Strategy};
use crate::route::Route;

/// The routes of an object, or at a gateway of all objects of a host. The first match counts.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    routes: Box<[Route]>,
    /// The conditions of all routes. [`Route::conditions`] is the range of one route.
    conditions: Box<[Condition]>,
    /// The regexes of each field. A regex with a literal that the index can look up has its own set.
    sets: Box<[FieldRegexes]>,
    index: Option<Index>,
    /// The ports that have a rule, ascending. `None` if a rule applies to every port.
    ports: Option<Box<[u16]>>,
}

impl Rules {
    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether any rule applies to a port.
    pub(crate) fn has_rule_for(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.binary_search(&port).is_ok())
    }

    /// The first rule for the port that matches the request. Each rule is tried at most once. Each regex runs at most
    /// once for each value of its field.
    pub(crate) fn first(&self, port: u16, view: &RequestView<'_>) -> Option<&Route> {
        let mut matcher = Matcher { rules: self, port, view, found: Vec::new() };
        let Some(index) = &self.index else { return self.routes.iter().find(|route| matcher.matches(route)) };
        let mut failed = FailedRoutes::default();
        let position = index.first(view, |position| {
            !failed.contains(position) && {
                let is_match = self.route(position).is_some_and(|route| matcher.matches(route));
                if !is_match {
                    failed.insert(position, self.routes.len());
                }
                is_match
            }
        });
        self.route(position?)
    }

    fn route(&self, position: u32) -> Option<&Route> {
        self.routes.get(usize::try_from(position).ok()?)
    }

    fn conditions(&self, route: &Route) -> &[Condition] {
        self.conditions.get(route.conditions.clone()).unwrap_or_default()
    }
}

/// Matches one request against the rules of an object.
struct Matcher<'m> {
    rules: &'m Rules,
    port: u16,
    view: &'m RequestView<'m>,
    /// By set number, ascending: the regexes that match some value of the field. A request uses few sets.
    found: Vec<(u32, Found)>,
}

/// A set of members of a [`RegexSet`].
type Found = SmallVec<[u64; 1]>;

impl Matcher<'_> {
    fn matches(&mut self, route: &Route) -> bool {
        let (rules, port) = (self.rules, self.port);
        route.applies_to(port) && rules.conditions(route).iter().all(|condition| self.holds(condition))
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let field = condition.field;
        let any = match &condition.test {
            Test::Regex { set, member } => self.matches_regex(field, *set, *member),
            test => self.view.any(field, |value| test.holds(value)),
        };
        match condition.polarity {
            Polarity::Required => any,
            Polarity::Excluded { absent_matches } => !any && (!absent_matches || self.view.any(field, |_| true)),
        }
    }

    fn matches_regex(&mut self, field: Field, set: u32, member: u32) -> bool {
        let place = match self.found.binary_search_by_key(&set, |(number, _)| *number) {
            Ok(place) => place,
            Err(place) => {
                let regexes = usize::try_from(set).ok().and_then(|number| self.rules.sets.get(number));
                let Some(regexes) = regexes else { return false };
                let mut found = Found::from_elem(0, regexes.members.div_ceil(64));
                self.view.any(field, |value| {
                    let mut note = |member| insert(&mut found, u32::try_from(member).unwrap_or(u32::MAX));
                    regexes.set.matches(value, &mut note);
                    false
                });
                self.found.insert(place, (set, found));
                place
            }
        };
        self.found.get(place).is_some_and(|(_, found)| contains(found, member))
    }
}

/// The routes that did not match. Most requests try few, so this usually needs no allocation.
#[derive(Default)]
struct FailedRoutes {
    few: SmallVec<[u32; 16]>,
    /// One bit for each route, if there are more.
    many: Vec<u64>,
}

impl FailedRoutes {
    fn contains(&self, position: u32) -> bool {
        if self.many.is_empty() { self.few.contains(&position) } else { contains(&self.many, position) }
    }

    fn insert(&mut self, position: u32, routes: usize) {
        if self.many.is_empty() && self.few.len() < self.few.inline_size() {
            self.few.push(position);
            return;
        }
        if self.many.is_empty() {
            self.many.resize(routes.div_ceil(64), 0);
            let few = std::mem::take(&mut self.few);
            few.into_iter().for_each(|position| insert(&mut self.many, position));
        }
        insert(&mut self.many, position);
    }
}

fn insert(bits: &mut [u64], number: u32) {
    let word = usize::try_from(number / 64).ok().and_then(|word| bits.get_mut(word));
    word.into_iter().for_each(|word| *word |= 1_u64.wrapping_shl(number));
}

fn contains(bits: &[u64], number: u32) -> bool {
    let word = usize::try_from(number / 64).ok().and_then(|word| bits.get(word));
    word.is_some_and(|word| word & 1_u64.wrapping_shl(number) != 0)
}

/// The state while rules are built.
#[derive(Debug, Default)]
pub(crate) struct RulesBuilder<'c> {
    routes: Vec<Route>,
    conditions: Vec<Condition>,
    /// The regexes of each set, and what the only member requires.
    sets: Vec<(Vec<&'c Regex>, Option<RequiredLiteral>)>,
    /// The shared set of each field, for regexes that the index cannot look up.
    shared: WordMap<Field, usize>,
    /// The test of each field and pattern.
    regexes: WordMap<(Field, &'c str), Test>,
}

impl<'c> RulesBuilder<'c> {
    /// Adds a route with the conditions of its entry. Sets the route's range of conditions.
    pub(crate) fn push(&mut self, route: Route, conditions: impl IntoIterator<Item = Condition>) {
        let start = self.conditions.len();
        self.conditions.extend(conditions);
        self.routes.push(Route { conditions: start..self.conditions.len(), ..route });
    }

    /// The test of a regex on a field.
    pub(crate) fn regex(&mut self, field: Field, regex: &'c Regex) -> Test {
        if let Some(known) = self.regexes.get(&(field, regex.as_str())) {
            return known.clone();
        }
        let test = match Strategy::of(regex) {
            Strategy::Plain(PlainTest::Exact(text)) => Test::Exact(text.into()),
            Strategy::Plain(plain) => Test::Plain(plain),
            Strategy::Automaton(required) => self.member(field, regex, required),
        };
        self.regexes.insert((field, regex.as_str()), test.clone());
        test
    }

    fn member(&mut self, field: Field, regex: &'c Regex, required: Option<RequiredLiteral>) -> Test {
        let next = self.sets.len();
        let set = if required.is_some() { next } else { *self.shared.entry(field).or_insert(next) };
        if set == next {
            self.sets.push((Vec::new(), required));
        }
        let members = self.sets.get_mut(set).map_or(0, |(members, _)| {
            members.push(regex);
            members.len()
        });
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Test::Regex { set: number(set), member: number(members.saturating_sub(1)) }
    }

    /// Builds the rules.
    pub(crate) fn build(mut self, caches: &Arc<RegexCaches>) -> Rules {
        self.order_conditions();
        let set = |(regexes, required): (Vec<&Regex>, _)| FieldRegexes {
            set: RegexSet::new(&regexes, caches),
            members: regexes.len(),
            required,
        };
        let sets: Box<[FieldRegexes]> = std::mem::take(&mut self.sets).into_iter().map(set).collect();
        let conditions: Box<[Condition]> = self.conditions.into();
        let of_routes: Vec<&[Condition]> =
            self.routes.iter().map(|route| conditions.get(route.conditions.clone()).unwrap_or_default()).collect();
        let ports: Option<Vec<u16>> = self.routes.iter().map(Route::port).collect();
        let ports = ports.map(|mut ports| {
            ports.sort_unstable();
            ports.dedup();
            ports.into()
        });
        Rules { index: Index::new(&of_routes, &sets), routes: self.routes.into(), conditions, sets, ports }
    }

    /// Sorts the conditions of each route: the cheapest first, then the one that fewer routes have.
    fn order_conditions(&mut self) {
        let several = |route: &&Route| route.conditions.len() > 1;
        let mut counts: WordMap<(Field, &[u8]), u32> = WordMap::default();
        for route in self.routes.iter().filter(several) {
            for condition in self.conditions.get(route.conditions.clone()).unwrap_or_default() {
                let count = counts.entry((condition.field, condition.text())).or_default();
                *count = count.saturating_add(1);
            }
        }
        let ranks: Vec<(u8, u32)> = self
            .conditions
            .iter()
            .map(|condition| {
                let count = counts.get(&(condition.field, condition.text())).copied().unwrap_or_default();
                (condition.test.cost(), count)
            })
            .collect();
        drop(counts);
        for range in self.routes.iter().filter(several).map(|route| route.conditions.clone()) {
            let (Some(conditions), Some(ranks)) = (self.conditions.get_mut(range.clone()), ranks.get(range)) else {
                continue;
            };
            let mut ranked: Vec<_> = ranks.iter().zip(conditions.iter_mut().map(std::mem::take)).collect();
            ranked.sort_by_key(|(rank, _)| **rank);
            for (place, (_, condition)) in conditions.iter_mut().zip(ranked) {
                *place = condition;
            }
        }
    }
}
