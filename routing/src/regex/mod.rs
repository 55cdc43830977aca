//! Stub until the engine lands.
use canary_config::regex::Regex;

/// A regex that needs no engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain;
impl Plain {
    pub(crate) fn is_match(&self, _value: &[u8]) -> bool { false }
    pub(crate) fn required_literal(&self) -> Option<&RequiredLiteral> { None }
}
pub(crate) fn classify(_regex: &Regex) -> Option<Plain> { None }
pub(crate) fn required_literal(regex: &Regex) -> Option<RequiredLiteral> {
    use canary_config::regex::Necessary;
    Some(match regex.necessary()? { Necessary::Start(t) => RequiredLiteral::Start(t.as_bytes().into()), Necessary::Element(t) => RequiredLiteral::Element(t.as_bytes().into()) })
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredLiteral { Start(Box<[u8]>), Element(Box<[u8]>) }
#[derive(Debug)]
pub(crate) struct RegexSet { regexes: Vec<Regex>, literals: Vec<Option<RequiredLiteral>> }
impl RegexSet {
    pub(crate) fn new(regexes: &[&Regex]) -> Self {
        Self { regexes: regexes.iter().map(|r| (*r).clone()).collect(), literals: regexes.iter().map(|r| required_literal(r)).collect() }
    }
    pub(crate) fn len(&self) -> usize { self.regexes.len() }
    pub(crate) fn find(&self, value: &[u8], found: &mut dyn FnMut(u32)) {
        for (n, r) in (0..).zip(&self.regexes) { if r.is_match(value) { found(n) } }
    }
    pub(crate) fn required_literal(&self, member: u32) -> Option<&RequiredLiteral> { self.literals.get(member as usize)?.as_ref() }
}
/// Rewrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rewriter(canary_config::regex::Substitution);
impl Rewriter {
    pub(crate) fn new(s: &canary_config::regex::Substitution) -> Self { Self(s.clone()) }
    pub(crate) fn replace_all(&self, text: &[u8]) -> Vec<u8> { self.0.replace_all(text) }
}
