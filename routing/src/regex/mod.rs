//! Stub until the engine lands.
#![expect(clippy::unwrap_used, reason = "stub")]
use canary_config::regex::{Regex, parse};
use regex_automata::{Anchored, Input, hybrid::dfa::DFA, nfa::thompson};
use regex_syntax::hir::{Hir, Look};
/// A regex that needs no engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain;
impl Plain {
    pub(crate) fn is_match(&self, _value: &[u8]) -> bool {
        false
    }
    pub(crate) fn required_literal(&self) -> Option<&RequiredLiteral> {
        None
    }
}
pub(crate) fn classify(_regex: &Regex) -> Option<Plain> {
    None
}
pub(crate) fn required_literal(_regex: &Regex) -> Option<RequiredLiteral> {
    None
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredLiteral {
    Start(Box<[u8]>),
    Element(Box<[u8]>),
}
#[derive(Debug)]
pub(crate) struct RegexSet {
    regexes: Vec<DFA>,
}
fn dfa(p: &str) -> DFA {
    let hir = Hir::concat(vec![Hir::look(Look::Start), parse(p).unwrap(), Hir::look(Look::End)]);
    DFA::builder()
        .configure(DFA::config().skip_cache_capacity_check(true))
        .build_from_nfa(
            thompson::Compiler::new().configure(thompson::Config::new().utf8(false)).build_from_hir(&hir).unwrap(),
        )
        .unwrap()
}
impl RegexSet {
    pub(crate) fn new(regexes: &[&Regex]) -> Self {
        Self { regexes: regexes.iter().map(|r| dfa(r.as_str())).collect() }
    }
    pub(crate) fn len(&self) -> usize {
        self.regexes.len()
    }
    pub(crate) fn find(&self, value: &[u8], found: &mut dyn FnMut(u32)) {
        for (n, r) in (0..).zip(&self.regexes) {
            let mut cache = r.create_cache();
            if r.try_search_fwd(&mut cache, &Input::new(value).anchored(Anchored::Yes)).unwrap().is_some() {
                found(n)
            }
        }
    }
    pub(crate) fn required_literal(&self, _member: u32) -> Option<&RequiredLiteral> {
        None
    }
}
/// Rewrites.
#[derive(Debug)]
pub(crate) struct Rewriter;
impl Rewriter {
    pub(crate) fn new(_s: &canary_config::regex::Substitution) -> Self {
        Self
    }
    pub(crate) fn replace_all(&self, text: &[u8]) -> Vec<u8> {
        text.to_vec()
    }
}
/// Whether a regex matches a whole value; for tools, which have one value.
#[must_use]
pub fn matches_regex(regex: &Regex, value: &[u8]) -> bool {
    let mut found = false;
    match classify(regex) {
        Some(plain) => plain.is_match(value),
        None => {
            RegexSet::new(&[regex]).find(value, &mut |_| found = true);
            found
        }
    }
}
