//! Small values that several fields share: durations, percentages, status codes, names of subsets.

use std::time::Duration;

use crate::duration;
use crate::json::Number;
use crate::node::Node;
use crate::syntax;
use crate::vocabulary;

/// A share of requests in millionths, the resolution of Envoy and Istio (1/10,000 %).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u32);

impl Percentage {
    /// Every request.
    pub const ALL: Self = Self(1_000_000);

    /// Cuts a number from 0 to 100 to millionths exactly as istiod does, by a multiplication of doubles.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        // A float-to-integer `as` saturates: no value can wrap.
        Self(((percent * 10_000.0) as u32).min(Self::ALL.0))
    }

    /// The millionths nearest to a share from 0 to 1.
    #[must_use]
    pub fn nearest(share: f64) -> Self {
        Self(((share * 1_000_000.0).round() as u32).min(Self::ALL.0))
    }

    /// The share in millionths, 0 to 1,000,000.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// The share that is `part` of `whole` on the way from this one to another, cut to millionths towards this one.
    #[must_use]
    pub fn towards(self, other: Self, part: u64, whole: u64) -> Self {
        let step = u128::from(self.0.abs_diff(other.0)).saturating_mul(part.into()).checked_div(whole.into());
        let step = u32::try_from(step.unwrap_or_default()).unwrap_or(Self::ALL.0);
        Self(if other > self { self.0.saturating_add(step) } else { self.0.saturating_sub(step) })
    }
}

/// Istio's `Duration`: at least 1 ms, in whole milliseconds.
pub(super) fn read_duration(node: &Node<'_>) -> Option<Duration> {
    let text = node.string()?;
    let Some(duration) = duration::parse(text) else {
        node.invalid(format!("invalid duration {text:?}: a number with its unit, such as 1.5s or 200ms"));
        return None;
    };
    if duration < Duration::from_millis(1) {
        node.invalid("duration must be greater than 1ms");
    } else if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        node.invalid("only durations to ms precision are supported");
    }
    Some(duration)
}

/// Istio's `Percent` object. `{}` is 0.
pub(super) fn read_percent(node: &Node<'_>, check: impl Fn(Number) -> Result<(), String>) -> Option<Percentage> {
    let fields = node.object(&vocabulary::PERCENT)?;
    let value = fields.get("value").map_or(Some(0.0), |value| {
        let number = value.number()?;
        value.check(check(number));
        Some(number.value())
    });
    fields.finish();
    value.map(Percentage::from_percent)
}

/// A bare number of per cent.
pub(super) fn read_percentage(node: &Node<'_>) -> Option<Percentage> {
    let percent = node.number()?;
    if !(0.0..=100.0).contains(&percent.value()) {
        node.invalid(format!("a percentage is a number from 0 to 100, not {percent}"));
    }
    Some(Percentage::from_percent(percent.value()))
}

/// An HTTP status that Envoy can answer with.
pub(super) fn read_status(node: &Node<'_>) -> Option<u16> {
    node.integer("HTTP status", 200..=599).and_then(|status| u16::try_from(status).ok())
}

/// The name of a subset.
pub(super) fn read_subset(node: &Node<'_>) -> Option<String> {
    let name = node.string()?;
    node.check(syntax::check_subset(name));
    Some(name.to_owned())
}
