//! Sets of numbers as bit sets.

/// A word of a set.
pub(super) type Word = u64;

pub(super) const WORD_BITS: usize = 64;

/// Whether a set contains a member.
pub(super) fn contains(set: &[Word], member: usize) -> bool {
    let (word, bit) = place(member);
    set.get(word).is_some_and(|word| word & bit != 0)
}

/// Adds a member. Returns whether it is new.
pub(super) fn insert(set: &mut [Word], member: usize) -> bool {
    let (word, bit) = place(member);
    let Some(word) = set.get_mut(word) else { return false };
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

fn place(member: usize) -> (usize, Word) {
    (member / WORD_BITS, 1_u64.wrapping_shl(u32::try_from(member % WORD_BITS).unwrap_or(0)))
}

/// The first member at or after `from`.
pub(super) fn next(set: &[Word], from: usize) -> Option<usize> {
    let (first, behind) = set.get(from / WORD_BITS..)?.split_first()?;
    let below = u32::try_from(from % WORD_BITS).unwrap_or(0);
    let first = first & Word::MAX.wrapping_shl(below);
    let (index, word) = std::iter::once(&first).chain(behind).enumerate().find(|(_, word)| **word != 0)?;
    let bit = usize::try_from(word.trailing_zeros()).ok()?;
    Some((from / WORD_BITS).saturating_add(index).saturating_mul(WORD_BITS).saturating_add(bit))
}
