//! `mirror` and `mirrors`: copies of requests; their responses are ignored.

use crate::control_headers::MAX_MIRRORS;
use crate::destination::Destination;
use crate::error::WarningCode;
use crate::json::Number;
use crate::node::{Fields, Node};
use crate::values::{Percentage, read_percent};
use crate::vocabulary;

/// A target of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// JSON pointer of the destination in the document.
    pub at: String,
    /// Who gets the copy.
    pub destination: Destination,
    /// Of which requests; absent in the document means all.
    pub percentage: Percentage,
}

/// Reads `mirror` with its percentages, or `mirrors`; `None` where the rule says neither.
pub(super) fn read(fields: &Fields<'_>) -> Option<Vec<Mirror>> {
    let single = fields.get("mirror");
    let several = fields.get("mirrors");
    let percentage =
        fields.get("mirrorPercentage").map(|node| read_percent(&node, |value| check(value, "mirror_percentage")));
    let percent = fields.get("mirrorPercent").map(|node| {
        node.warn(
            WarningCode::Deprecated,
            "using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead",
        );
        node.integer("mirror_percent", 0..=100).map(|percent| Percentage::from_percent(percent.into()))
    });
    if let Some(mirrors) = &several {
        if single.is_some() && !mirrors.is_empty_list() {
            fields.node().invalid("HTTP route cannot contain both mirror and mirrors");
        }
        let mirrors = mirrors.read_each(read_mirror);
        if mirrors.len() > MAX_MIRRORS {
            fields.node().warn(
                WarningCode::Reduced,
                format!("{MAX_MIRRORS} mirrors can be carried out; those after get no copies"),
            );
        }
        if !mirrors.is_empty() {
            return Some(mirrors);
        }
    }
    let percentage = percentage.or(percent).unwrap_or(Some(Percentage::ALL));
    let single = single?;
    let mirror = Mirror { at: single.pointer(), destination: Destination::read(&single)?, percentage: percentage? };
    Some(vec![mirror])
}

fn read_mirror(node: &Node<'_>) -> Option<Mirror> {
    let fields = node.object(&vocabulary::MIRROR)?;
    let destination = fields.require("destination");
    let percentage =
        fields.get("percentage").map(|node| read_percent(&node, |value| check(value, "mirror percentage")));
    fields.finish();
    let destination = destination?;
    Some(Mirror {
        at: destination.pointer(),
        destination: Destination::read(&destination)?,
        percentage: percentage.unwrap_or(Some(Percentage::ALL))?,
    })
}

fn check(percent: Number, what: &str) -> Result<(), String> {
    match percent.value() {
        value if value > 100.0 => Err(format!("{what} must have a max value of 100 (it has {percent})")),
        value if value >= 0.0 => Ok(()),
        _ => Err(format!("{what} must have a min value of 0 (it has {percent})")),
    }
}
