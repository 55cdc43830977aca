//! Statistics of figures that were measured in rounds.

use fastrand::Rng;

/// How often rounds are drawn for an interval.
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

/// The value in the middle, or the mean of the two there.
///
/// # Panics
/// If there are no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// What each round's value is more than the same round's value of `base`.
#[must_use]
pub fn differences(values: &[f64], base: &[f64]) -> Vec<f64> {
    values.iter().zip(base).map(|(value, base)| value - base).collect()
}

/// An estimate from rounds, with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of its 90 % bootstrap interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Estimate {
    /// The median of the rounds.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn of_median(values: &[f64]) -> Self {
        Self::bootstrap(values.len(), |rounds| median_of(values, rounds))
    }

    /// The median of `values` by that of `base`, both of the same rounds.
    ///
    /// # Panics
    /// If there are no rounds, or not as many of both.
    #[must_use]
    pub fn ratio_of_medians(values: &[f64], base: &[f64]) -> Self {
        assert_eq!(values.len(), base.len(), "rounds of both");
        Self::bootstrap(values.len(), |rounds| median_of(values, rounds) / median_of(base, rounds))
    }

    /// The median of what each round's value is by the same round's value of `base`, where none of those is near zero.
    ///
    /// # Panics
    /// If there are no rounds, or not as many of both.
    #[must_use]
    pub fn median_of_ratios(values: &[f64], base: &[f64]) -> Self {
        assert_eq!(values.len(), base.len(), "rounds of both");
        Self::of_median(&values.iter().zip(base).map(|(value, base)| value / base).collect::<Vec<_>>())
    }

    /// The estimate of all rounds, with a bootstrap interval. The draws are the same in each run.
    fn bootstrap(rounds: usize, estimate: impl Fn(&[usize]) -> f64) -> Self {
        let mut random = Rng::with_seed(0);
        let mut draw = || estimate(&(0..rounds).map(|_| random.usize(..rounds)).collect::<Vec<_>>());
        let draws: Vec<_> = (0..DRAWS).map(|_| draw()).collect();
        let value = estimate(&(0..rounds).collect::<Vec<_>>());
        Self { value, low: quantile(&draws, TAILS.0), high: quantile(&draws, TAILS.1) }
    }
}

fn median_of(values: &[f64], rounds: &[usize]) -> f64 {
    median(&rounds.iter().map(|round| values[*round]).collect::<Vec<_>>())
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
    }

    #[test]
    fn a_median_is_in_the_middle() {
        for (values, expected) in
            [(&[7.0][..], 7.0), (&[3.0, 1.0], 2.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 3.0, 8.0], 3.5)]
        {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn estimates_are_as_sure_as_their_rounds() {
        let noise =
            |around: f64, size: f64| (0..60).map(|round| around + size * f64::from(round % 7 - 3)).collect::<Vec<_>>();
        for (name, values, base, value, low, high) in [
            ("without noise", noise(6.0, 0.0), noise(4.0, 0.0), 1.5, 1.5, 1.5),
            ("little noise", noise(6.0, 0.1), noise(4.0, 0.1), 1.5, 1.4, 1.6),
            ("much noise", noise(6.0, 1.0), noise(4.0, 1.0), 1.5, 1.0, 2.5),
        ] {
            let ratio = Estimate::ratio_of_medians(&values, &base);
            assert!((ratio.value - value).abs() < 1e-9, "{name}: {ratio:?}");
            assert!(
                low <= ratio.low && ratio.low <= value && value <= ratio.high && ratio.high <= high,
                "{name}: {ratio:?}"
            );
        }
        let quotients = Estimate::median_of_ratios(&[2.0, 6.0, 9.0], &[1.0, 2.0, 3.0]);
        assert_eq!(quotients, Estimate { value: 3.0, low: 2.0, high: 3.0 }, "each round by itself");
        let (sure, unsure) = (
            Estimate::ratio_of_medians(&noise(6.0, 0.1), &noise(4.0, 0.1)),
            Estimate::ratio_of_medians(&noise(6.0, 1.0), &noise(4.0, 1.0)),
        );
        assert!(unsure.high - unsure.low > sure.high - sure.low, "{unsure:?} is less sure than {sure:?}");
    }
}
