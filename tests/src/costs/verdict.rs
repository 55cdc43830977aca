//! Whether a figure keeps within its bound.

use std::fmt;

use crate::statistics::Estimate;

/// A row of a table of targets.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is compared.
    pub what: String,
    /// The bound, in words.
    pub target: String,
    /// What was measured, with its interval.
    pub figure: String,
    /// Whether that keeps within the bound.
    pub verdict: Verdict,
}

/// Whether a figure keeps within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval does.
    Met,
    /// None of the interval does.
    NotMet,
    /// A part of the interval does, or the machine was not quiet.
    NotDecided,
    /// There is no bound.
    Stated,
}

/// Where a figure must be.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
    /// Anywhere.
    None,
}

impl Bound {
    /// For figures that are exact.
    #[must_use]
    pub fn judge_exact(self, value: f64) -> Verdict {
        self.judge(Estimate { value, low: value, high: value })
    }

    /// For figures with an interval.
    #[must_use]
    pub fn judge(self, Estimate { low, high, .. }: Estimate) -> Verdict {
        let (all, any) = match self {
            Self::AtMost(bound) => (high <= bound, low <= bound),
            Self::AtLeast(bound) => (low >= bound, high >= bound),
            Self::None => return Verdict::Stated,
        };
        match (all, any) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::NotDecided,
            (false, false) => Verdict::NotMet,
        }
    }

    /// In words, with a unit.
    #[must_use]
    pub fn words(self, unit: &str) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}{unit}"),
            Self::AtLeast(bound) => format!("≥ {bound}{unit}"),
            Self::None => "stated".to_owned(),
        }
    }
}

impl Row {
    /// A ratio.
    #[must_use]
    pub fn ratio(what: &str, ratio: Estimate, bound: Bound) -> Self {
        let Estimate { value, low, high } = ratio;
        Self {
            what: what.to_owned(),
            target: bound.words(" ×"),
            figure: format!("{value:.2} × ({low:.2} … {high:.2})"),
            verdict: bound.judge(ratio),
        }
    }

    /// The same row of a machine that was not quiet.
    #[must_use]
    pub fn undecided(self) -> Self {
        let verdict = if self.verdict == Verdict::Stated { Verdict::Stated } else { Verdict::NotDecided };
        Self { verdict, ..self }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Met => "met",
            Self::NotMet => "**not met**",
            Self::NotDecided => "not decided",
            Self::Stated => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_given_where_the_whole_interval_allows_one() {
        use Bound::{AtLeast, AtMost, None};
        for (name, bound, low, high, expected) in [
            ("all of it below", AtMost(1.15), 1.0, 1.15, Verdict::Met),
            ("a part below", AtMost(1.15), 1.15, 1.2, Verdict::NotDecided),
            ("nothing below", AtMost(1.15), 1.16, 1.2, Verdict::NotMet),
            ("all of it above", AtLeast(25.0), 25.0, 40.0, Verdict::Met),
            ("a part above", AtLeast(25.0), 20.0, 40.0, Verdict::NotDecided),
            ("nothing above", AtLeast(25.0), 20.0, 24.9, Verdict::NotMet),
            ("no bound", None, 1.0, 9.0, Verdict::Stated),
        ] {
            let row = Row::ratio("", Estimate { value: low, low, high }, bound);
            assert_eq!(row.verdict, expected, "{name}");
            let undecided = if expected == Verdict::Stated { Verdict::Stated } else { Verdict::NotDecided };
            assert_eq!(row.undecided().verdict, undecided, "{name}");
        }
    }
}
