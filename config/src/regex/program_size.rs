//! Computes RE2's count of instructions from a pattern.
//!
//! RE2 compiles `x{2,4}` to `xx(x(x)?)?`. It counts an instruction for each byte range, each end of a group and each
//! assertion. Compared with Envoy, the count is exact for most patterns. It is up to a third too low for a long series
//! of stars.

use std::collections::HashSet;

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Repetition};
use regex_syntax::utf8::{Utf8Range, Utf8Sequence, Utf8Sequences};

/// The failure, the match, and the loop for unanchored matches.
const FRAME: u32 = 4;

/// The size of the pattern's program.
pub(super) fn of(hir: &Hir) -> u32 {
    size(hir).saturating_add(FRAME)
}

fn size(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty => 0,
        HirKind::Literal(text) => u32::try_from(text.0.len()).unwrap_or(u32::MAX),
        HirKind::Class(Class::Bytes(class)) => u32::try_from(class.ranges().len()).unwrap_or(u32::MAX),
        HirKind::Class(Class::Unicode(class)) => class_size(class),
        HirKind::Look(_) => 1,
        HirKind::Repetition(repetition) => repetition_size(repetition),
        HirKind::Capture(capture) => size(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(size).fold(0, u32::saturating_add),
    }
}

fn repetition_size(repetition: &Repetition) -> u32 {
    let sub = size(&repetition.sub);
    match (repetition.min, repetition.max) {
        (0, None) => sub,
        (min, None) => sub.saturating_mul(min).saturating_add(1),
        (min, Some(max)) => sub.saturating_mul(max).saturating_add(max.saturating_sub(min)),
    }
}

/// The nodes of a tree of byte ranges. A last range that follows its lead alone is shared.
fn class_size(class: &ClassUnicode) -> u32 {
    let sequences: Vec<Utf8Sequence> =
        class.ranges().iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end())).collect();
    let mut shared = HashSet::new();
    let mut nodes = 0_usize;
    let mut previous_lead: &[Utf8Range] = &[];
    for siblings in sequences.chunk_by(|left, right| lead(left) == lead(right)) {
        let Some((last, lead)) = siblings.first().and_then(|sequence| sequence.as_slice().split_last()) else {
            continue;
        };
        let common = lead.iter().zip(previous_lead).take_while(|(own, other)| own == other).count();
        let own_lasts = match siblings {
            [_] if !lead.is_empty() => usize::from(shared.insert((last.start, last.end))),
            _ => siblings.len(),
        };
        nodes = nodes.saturating_add(lead.len().saturating_sub(common)).saturating_add(own_lasts);
        previous_lead = lead;
    }
    u32::try_from(nodes).unwrap_or(u32::MAX)
}

/// All ranges of a sequence except the last.
fn lead(sequence: &Utf8Sequence) -> &[Utf8Range] {
    sequence.as_slice().split_last().map_or(&[], |(_, lead)| lead)
}
