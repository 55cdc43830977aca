//! A pattern as a flat sequence of pieces.

use canary_config::regex::parse;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

/// A piece of a pattern that must match a whole value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'h> {
    /// A literal text.
    Literal(Vec<u8>),
    /// `.*`, greedy or lazy.
    Dots,
    /// `(.*;)?`
    DotsBeforeSemicolon,
    /// `(;.*)?`
    DotsAfterSemicolon,
    /// Anything else.
    Other(&'h Hir),
}

/// The pieces of a pattern. Groups are flattened. Outer anchors are dropped, because a match of the whole value implies
/// them.
pub(super) fn of(hir: &Hir) -> Vec<Piece<'_>> {
    let Ok(dot) = parse(".") else { return vec![Piece::Other(hir)] };
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let is = |part: Option<&&Hir>, look: Look| {
        part.is_some_and(|part| matches!(part.kind(), HirKind::Look(l) if *l == look))
    };
    let start = usize::from(is(parts.first(), Look::Start));
    let end = parts.len().saturating_sub(usize::from(parts.len() > start && is(parts.last(), Look::End)));
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for part in parts.get(start..end).unwrap_or_default() {
        match (classify(part, &dot), pieces.last_mut()) {
            (Piece::Literal(text), Some(Piece::Literal(before))) => before.extend(text),
            (piece, _) => pieces.push(piece),
        }
    }
    pieces
}

/// The parts of nested sequences and groups.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Concat(subs) => subs.iter().for_each(|sub| flatten(sub, parts)),
        _ => parts.push(hir),
    }
}

fn classify<'h>(part: &'h Hir, dot: &Hir) -> Piece<'h> {
    match part.kind() {
        HirKind::Literal(text) => Piece::Literal(text.0.to_vec()),
        HirKind::Repetition(repetition) if is_dots(repetition, dot) => Piece::Dots,
        HirKind::Repetition(Repetition { min: 0, max: Some(1), sub, .. }) => {
            optional(sub, dot).unwrap_or(Piece::Other(part))
        }
        _ => Piece::Other(part),
    }
}

fn is_dots(repetition: &Repetition, dot: &Hir) -> bool {
    repetition.min == 0 && repetition.max.is_none() && *repetition.sub == *dot
}

fn optional<'h>(sub: &Hir, dot: &Hir) -> Option<Piece<'h>> {
    let mut parts = Vec::new();
    flatten(sub, &mut parts);
    let [first, last] = *parts.as_slice() else { return None };
    match (first.kind(), last.kind()) {
        (HirKind::Repetition(dots), HirKind::Literal(text)) if is_dots(dots, dot) && *text.0 == *b";" => {
            Some(Piece::DotsBeforeSemicolon)
        }
        (HirKind::Literal(text), HirKind::Repetition(dots)) if is_dots(dots, dot) && *text.0 == *b";" => {
            Some(Piece::DotsAfterSemicolon)
        }
        _ => None,
    }
}
