//! `policies[].ramp`: a weight that moves by the clock.

use crate::node::Node;
use crate::timestamp::Timestamp;
use crate::values::{Percentage, read_duration, read_percentage, read_subset};
use crate::vocabulary;

/// The share of a version over time: `from` until `start`, then a linear change to `to` over `duration`, then `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    /// The version.
    pub subset: String,
    /// Its share of all requests before the start.
    pub from: Percentage,
    /// Its share after the end.
    pub to: Percentage,
    /// When it begins to move.
    pub start: Timestamp,
    /// How long it moves, in milliseconds; at least 1.
    pub duration: u64,
}

impl Ramp {
    /// The share at a point in time. Without a clock it is the share before the start.
    #[must_use]
    pub fn share(&self, now: Option<Timestamp>) -> Percentage {
        let elapsed = now.map_or(0, |now| now.millis_since(self.start)).min(self.duration);
        self.from.towards(self.to, elapsed, self.duration)
    }

    pub(super) fn read(node: &Node<'_>, default: Option<&str>) -> Option<Self> {
        let fields = node.object(&vocabulary::RAMP)?;
        let subset = fields.require("subset").and_then(|subset| read_subset(&subset));
        let percentage = |name| fields.get(name).map(|place| read_percentage(&place).unwrap_or_default());
        let (from, to) = (percentage("from").unwrap_or_default(), percentage("to").unwrap_or(Percentage::ALL));
        let start = fields.require("start").and_then(|start| read_timestamp(&start));
        let duration = fields.require("duration").and_then(|duration| read_duration(&duration));
        fields.finish();
        if default.is_some() && subset.as_deref() == default {
            node.invalid("a ramp moves the weight of a canary: its subset is not the defaultSubset");
        }
        let duration = u64::try_from(duration?.as_millis()).unwrap_or(u64::MAX).max(1);
        Some(Self { subset: subset?, from, to, start: start?, duration })
    }
}

fn read_timestamp(node: &Node<'_>) -> Option<Timestamp> {
    let text = node.string()?;
    let timestamp = Timestamp::parse(text);
    if timestamp.is_none() {
        node.invalid(format!("{text:?} is no RFC 3339 time such as 2026-11-21T08:00:00Z"));
    }
    timestamp
}
