//! A pick among weighted targets.

use crate::draws::Fraction;

/// Cumulative weights. A pick costs one multiplication and a binary search, without division or floating point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// Ascending. The last one is the sum of the weights.
    bounds: Vec<u64>,
}

impl Split {
    /// The share of an entry is its weight over the sum. A single entry has every request, whatever its weight.
    pub(crate) fn new(weights: impl ExactSizeIterator<Item = u64>) -> Self {
        if weights.len() == 1 {
            return Self { bounds: vec![1] };
        }
        let bounds = weights.scan(0_u64, |sum, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        Self { bounds: bounds.collect() }
    }

    /// The sum of the weights.
    fn total(&self) -> u64 {
        self.bounds.last().copied().unwrap_or_default()
    }

    /// For each entry with a share: the first draw that picks it, and the share as a float, for display.
    pub(crate) fn chances(&self) -> impl Iterator<Item = (Fraction, f64)> {
        let total = self.total();
        let lower = std::iter::once(0).chain(self.bounds.iter().copied());
        let ranges = lower.zip(self.bounds.iter().copied()).filter(|(low, high)| low < high);
        ranges.map(move |(low, high)| (Fraction::ratio(low, total), high.saturating_sub(low) as f64 / total as f64))
    }

    /// The index that a draw picks. Entry i has the draws from `bounds[i-1]` to below `bounds[i]`, scaled to the sum.
    pub(crate) fn pick(&self, draw: Fraction) -> usize {
        let point = draw.scale(self.total());
        self.bounds.partition_point(|bound| *bound <= point)
    }
}
