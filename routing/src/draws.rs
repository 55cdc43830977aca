//! Randomness as an input: one number for each draw of a request.

use std::fmt;

use canary_config::{MAX_MIRRORS, Percentage};

/// A number in [0, 1), as a multiple of 2⁻⁶⁴ so that every comparison is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u64);

/// The text is not a decimal number in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidFraction;

impl fmt::Display for InvalidFraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a draw is a decimal number in [0, 1)")
    }
}

impl std::error::Error for InvalidFraction {}

impl Fraction {
    /// 64 random bits as a fraction.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Parses a decimal such as `0.95`, with at most 19 decimals. The result is rounded up to the next multiple of
    /// 2⁻⁶⁴, so that `0.9` is never below nine tenths.
    ///
    /// # Errors
    /// If the text is not a decimal number in [0, 1).
    pub fn parse(text: &str) -> Result<Self, InvalidFraction> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if text.is_empty() || !whole.bytes().all(|byte| byte == b'0') {
            return Err(InvalidFraction);
        }
        let mut numerator = 0_u128;
        let mut denominator = 1_u128;
        // 19 decimals keep the product below 2¹²⁸. More decimals are below the resolution.
        for digit in decimals.bytes().take(19) {
            let digit = match digit {
                b'0'..=b'9' => u128::from(digit.wrapping_sub(b'0')),
                _ => return Err(InvalidFraction),
            };
            numerator = numerator.saturating_mul(10).saturating_add(digit);
            denominator = denominator.saturating_mul(10);
        }
        let bits = numerator.saturating_mul(1 << 64).div_ceil(denominator);
        u64::try_from(bits).map(Self).map_err(|_| InvalidFraction)
    }

    /// `numerator / denominator`, rounded up to the next multiple of 2⁻⁶⁴. 1 and above give the largest fraction.
    #[must_use]
    pub fn ratio(numerator: u64, denominator: u64) -> Self {
        let bits = u128::from(numerator).saturating_mul(1 << 64).div_ceil(u128::from(denominator.max(1)));
        Self(u64::try_from(bits).unwrap_or(u64::MAX))
    }

    /// The fraction as multiples of 2⁻⁶⁴.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Whether the fraction is below the percentage.
    #[must_use]
    pub fn is_within(self, share: Percentage) -> bool {
        self.scale(Percentage::ALL.millionths().into()) < u64::from(share.millionths())
    }

    /// The integer part of `self × n`: a value in [0, n), each with the same probability.
    #[must_use]
    pub const fn scale(self, n: u64) -> u64 {
        ((self.0 as u128).wrapping_mul(n as u128) >> 64) as u64
    }
}

/// The purpose of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Picks the weighted destination: with weights 90 and 10, the first below 0.9.
    Split,
    /// Whether the request is delayed: below the percentage it is.
    Delay,
    /// Whether the request is aborted.
    Abort,
    /// Whether a version on trial gets the request.
    Trial,
    /// Whether the rule's mirror at this index gets a copy.
    Mirror(usize),
    /// Whether the candidate also decides the request.
    Candidate,
}

/// The random numbers of one request. They are independent of each other, and repeated calls return the same number.
pub trait Chance {
    /// The number for a purpose.
    fn draw(&self, purpose: Draw) -> Fraction;

    /// 128 random bits that identify a new user. Without them a new user gets no cookie, and the draw for the split
    /// picks the version.
    fn identity(&self) -> Option<u128>;
}

/// Given numbers, for tests and tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Draws {
    /// Picks the weighted destination: with weights 90 and 10, the first below 0.9.
    pub split: Fraction,
    /// Whether the request is delayed: below the percentage it is.
    pub delay: Fraction,
    /// Whether the request is aborted.
    pub abort: Fraction,
    /// Whether a version on trial gets the request.
    pub trial: Fraction,
    /// Whether each mirror of the rule gets a copy.
    pub mirror: [Fraction; MAX_MIRRORS],
    /// Whether the candidate also decides the request.
    pub candidate: Fraction,
    /// 128 random bits that identify a new user. Without them a new user gets no cookie, and the draw for the split
    /// picks the version.
    pub identity: Option<u128>,
}

impl Chance for Draws {
    fn draw(&self, purpose: Draw) -> Fraction {
        match purpose {
            Draw::Split => self.split,
            Draw::Delay => self.delay,
            Draw::Abort => self.abort,
            Draw::Trial => self.trial,
            Draw::Mirror(position) => self.mirror.get(position).copied().unwrap_or_default(),
            Draw::Candidate => self.candidate,
        }
    }

    fn identity(&self) -> Option<u128> {
        self.identity
    }
}
