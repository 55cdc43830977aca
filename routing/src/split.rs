//! The pick among weighted destinations.

use crate::draws::Fraction;

/// Cumulative weights: an index is found by one multiplication and a search, without division or floating point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// Ascending; the last is the sum of the weights.
    bounds: Vec<u64>,
}

impl Split {
    /// Share of an entry = its weight over the sum. A lone entry takes everything, whatever its weight.
    pub(crate) fn new(weights: impl ExactSizeIterator<Item = u32>) -> Self {
        if weights.len() == 1 {
            return Self { bounds: vec![1] };
        }
        let bounds = weights.scan(0_u64, |sum, weight| {
            *sum = sum.saturating_add(u64::from(weight));
            Some(*sum)
        });
        Self { bounds: bounds.collect() }
    }

    /// The sum of the weights.
    fn total(&self) -> u64 {
        self.bounds.last().copied().unwrap_or_default()
    }

    /// The share of each entry, for people.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> {
        let total = self.total() as f64;
        let lower = std::iter::once(0).chain(self.bounds.iter().copied());
        lower.zip(&self.bounds).map(move |(low, high)| high.saturating_sub(low) as f64 / total)
    }

    /// The index that a draw picks: entry i takes the draws from `bounds[i-1]` to below `bounds[i]`, in parts of the total.
    pub(crate) fn pick(&self, draw: Fraction) -> usize {
        let point = draw.scale(self.total());
        self.bounds.partition_point(|bound| *bound <= point)
    }
}
