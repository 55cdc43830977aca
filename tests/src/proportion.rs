//! Tests a share after a number of requests.

use statrs::distribution::{Binomial, DiscreteCDF};

/// How improbable an outcome must be before it counts as a wrong share: a right one is called wrong once in a million runs.
pub const ALPHA: f64 = 1e-6;

/// Whether `share` (0 to 1) lies in the exact (Clopper–Pearson) confidence interval, at 1 − `alpha`, of what was seen:
/// `hits` of `trials`. That is the case when neither tail of the binomial distribution at `share` is below alpha / 2.
///
/// # Panics
/// If `share` is no probability.
#[must_use]
pub fn agrees(hits: u64, trials: u64, share: f64, alpha: f64) -> bool {
    let seen = Binomial::new(share, trials).expect("a share is between 0 and 1");
    let so_few = seen.cdf(hits);
    let so_many = hits.checked_sub(1).map_or(1.0, |below| seen.sf(below));
    so_few > alpha / 2.0 && so_many > alpha / 2.0
}

#[cfg(test)]
mod tests {
    use super::agrees;

    #[test]
    fn agrees_within_the_exact_interval_only() {
        // The Clopper–Pearson interval of 10 in 100 at 95 % is 0.04900 to 0.17622.
        for (name, hits, trials, share, alpha, expected) in [
            ("on the spot", 400, 4000, 0.1, 1e-6, true),
            ("95 % of 10/100 begins at 0.04900", 10, 100, 0.0491, 0.05, true),
            ("95 % of 10/100, just below it", 10, 100, 0.0489, 0.05, false),
            ("95 % of 10/100 ends at 0.17622", 10, 100, 0.1761, 0.05, true),
            ("95 % of 10/100, just above it", 10, 100, 0.1764, 0.05, false),
            ("half as many", 200, 4000, 0.1, 1e-6, false),
            ("20 % for 10 %", 800, 4000, 0.1, 1e-6, false),
            ("none of many", 0, 4000, 0.1, 1e-6, false),
            ("all of many", 4000, 4000, 0.1, 1e-6, false),
            ("none where none is due", 0, 4000, 0.0, 1e-6, true),
            ("one where none is due", 1, 4000, 0.0, 1e-6, false),
        ] {
            assert_eq!(agrees(hits, trials, share, alpha), expected, "{name}");
        }
    }
}
