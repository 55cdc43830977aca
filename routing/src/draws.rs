//! Chance as an input: one number for each independent draw that a request may need.

use std::fmt;

use canary_config::{MAX_MIRRORS, Percentage};

/// A number in [0, 1), held as multiples of 2⁻⁶⁴ so that every comparison is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u64);

/// The text is no decimal number in [0, 1).
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

    /// A decimal such as `0.95`, (19 decimals count), rounded up to the next multiple of 2⁻⁶⁴, so that `0.9` is never below nine tenths.
    ///
    /// # Errors
    /// If the text is no decimal number in [0, 1).
    pub fn parse(text: &str) -> Result<Self, InvalidFraction> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if text.is_empty() || !whole.bytes().all(|byte| byte == b'0') {
            return Err(InvalidFraction);
        }
        let mut numerator = 0_u128;
        let mut denominator = 1_u128;
        // 19 decimals keep the product below 2¹²⁸; further ones are beyond the resolution.
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

    /// `numerator / denominator`, rounded up to the next multiple of 2⁻⁶⁴; 1 and more count as the largest fraction.
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

    /// Whether a share takes a request with this draw: draws below it do.
    #[must_use]
    pub fn is_within(self, share: Percentage) -> bool {
        self.scale(Percentage::ALL.millionths().into()) < u64::from(share.millionths())
    }

    /// The integer part of `self × n`: a value in [0, n), each equally likely.
    #[must_use]
    pub const fn scale(self, n: u64) -> u64 {
        ((self.0 as u128).wrapping_mul(n as u128) >> 64) as u64
    }
}

/// What a number is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// The weighted destination: 90/10 gives the first below 0.9.
    Split,
    /// Whether the delay happens: below its percentage it does.
    Delay,
    /// Whether the abort happens.
    Abort,
    /// Whether a version that is on trial gets the request.
    Trial,
    /// Whether a mirror of the rule, by its position, gets a copy.
    Mirror(usize),
    /// Whether the candidate document is asked too.
    Candidate,
}

/// Chance for one request: every number is independent of the others, and the same whenever it is asked for again.
pub trait Chance {
    /// The number for a purpose.
    fn draw(&self, purpose: Draw) -> Fraction;

    /// 128 random bits that name a new user. Without them a user who is to get a cookie gets none, and the version that the
    /// split's draw picks.
    fn identity(&self) -> Option<u128>;
}

/// Numbers that are given, for tests and tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Draws {
    /// Picks the weighted destination: 90/10 gives the first below 0.9.
    pub split: Fraction,
    /// Whether the delay happens: below its percentage it does.
    pub delay: Fraction,
    /// Whether the abort happens.
    pub abort: Fraction,
    /// Whether a version that is on trial gets the request.
    pub trial: Fraction,
    /// Whether each of the rule's mirrors gets a copy.
    pub mirror: [Fraction; MAX_MIRRORS],
    /// Whether the candidate document is asked too.
    pub candidate: Fraction,
    /// 128 random bits that name a new user. Without them a user who is to get a cookie gets none, and the version that the
    /// split's draw picks.
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
