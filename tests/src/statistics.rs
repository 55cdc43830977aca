//! What may be said of figures that were measured in rounds.

use fastrand::Rng;

/// How often rounds are drawn anew for an interval of a ratio.
const DRAWS: usize = 2_000;
/// The interval holds nine tenths of the draws.
const TAILS: (usize, usize) = (5, 95);

/// The value that so many hundredths of the values do not exceed.
///
/// # Panics
/// If there are no values.
#[must_use]
pub fn quantile(values: &[f64], hundredths: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * hundredths / 100]
}

/// A value of the middle, and the two between which half of them lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// A quarter of the values are no larger.
    pub p25: f64,
    /// Three quarters of the values are no larger.
    pub p75: f64,
}

impl Spread {
    /// Of these values.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        Self { median: quantile(values, 50), p25: quantile(values, 25), p75: quantile(values, 75) }
    }
}

/// What each round's value is more than the same round's value of `base`.
#[must_use]
pub fn differences(values: &[f64], base: &[f64]) -> Vec<f64> {
    values.iter().zip(base).map(|(value, base)| value - base).collect()
}

/// A ratio of two medians, and how far chance may have moved it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The ratio.
    pub value: f64,
    /// Nine in ten ratios of rounds that are drawn anew from those measured lie between this
    pub low: f64,
    /// and this (bootstrap).
    pub high: f64,
}

impl Ratio {
    /// The median of `values` by that of `base`; the two were measured in the same rounds. The draws are always the same ones.
    ///
    /// # Panics
    /// If there are no rounds, or not as many of both.
    #[must_use]
    pub fn of(values: &[f64], base: &[f64]) -> Self {
        assert_eq!(values.len(), base.len(), "rounds of both");
        let mut random = Rng::with_seed(0);
        let mut draw = || {
            let rounds: Vec<_> = values.iter().map(|_| random.usize(..values.len())).collect();
            let median = |of: &[f64]| quantile(&rounds.iter().map(|round| of[*round]).collect::<Vec<_>>(), 50);
            median(values) / median(base)
        };
        let draws: Vec<_> = (0..DRAWS).map(|_| draw()).collect();
        Self {
            value: quantile(values, 50) / quantile(base, 50),
            low: quantile(&draws, TAILS.0),
            high: quantile(&draws, TAILS.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        for (name, values, hundredths, expected) in [
            ("one value", &[7.0][..], 50, 7.0),
            ("the middle of three, in any order", &[3.0, 1.0, 2.0], 50, 2.0),
            ("the lower middle of four", &[4.0, 1.0, 3.0, 2.0], 50, 2.0),
            ("a quarter of five", &[5.0, 4.0, 3.0, 2.0, 1.0], 25, 2.0),
            ("three quarters of five", &[5.0, 4.0, 3.0, 2.0, 1.0], 75, 4.0),
            ("the least", &[2.0, -1.0], 0, -1.0),
            ("the most", &[2.0, -1.0], 100, 2.0),
            ("99 of 200", &(1..=200).map(f64::from).collect::<Vec<_>>(), 99, 198.0),
        ] {
            assert_eq!(quantile(values, hundredths), expected, "{name}");
        }
    }

    #[test]
    fn differences_are_of_the_same_round() {
        assert_eq!(differences(&[5.0, 8.0], &[1.0, 10.0]), [4.0, -2.0]);
        let spread = Spread::of(&[5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!(spread, Spread { median: 3.0, p25: 2.0, p75: 4.0 });
    }

    #[test]
    fn ratios_are_as_sure_as_their_rounds() {
        let noise =
            |around: f64, size: f64| (0..60).map(|round| around + size * f64::from(round % 7 - 3)).collect::<Vec<_>>();
        for (name, values, base, value, low, high) in [
            ("without noise", noise(6.0, 0.0), noise(4.0, 0.0), 1.5, 1.5, 1.5),
            ("little noise", noise(6.0, 0.1), noise(4.0, 0.1), 1.5, 1.4, 1.6),
            ("much noise", noise(6.0, 1.0), noise(4.0, 1.0), 1.5, 1.0, 2.5),
        ] {
            let ratio = Ratio::of(&values, &base);
            assert!((ratio.value - value).abs() < 1e-9, "{name}: {ratio:?}");
            assert!(
                low <= ratio.low && ratio.low <= value && value <= ratio.high && ratio.high <= high,
                "{name}: {ratio:?}"
            );
        }
        let (sure, unsure) =
            (Ratio::of(&noise(6.0, 0.1), &noise(4.0, 0.1)), Ratio::of(&noise(6.0, 1.0), &noise(4.0, 1.0)));
        assert!(unsure.high - unsure.low > sure.high - sure.low, "{unsure:?} is less sure than {sure:?}");
    }
}
