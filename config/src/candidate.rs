//! `candidate`: a second document that is evaluated beside the live one and never applied.

use crate::Config;
use crate::node::Node;
use crate::values::{Percentage, read_percentage};
use crate::vocabulary;

/// Rules on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The share of requests that are decided twice.
    pub percentage: Percentage,
    /// The live document with the sections that the candidate names in place of its own.
    pub config: Config,
}

impl Candidate {
    pub(super) fn read(node: &Node<'_>, live: &Config) -> Option<Self> {
        let fields = node.object(&vocabulary::CANDIDATE)?;
        let percentage = fields.get("percentage").map(|place| read_percentage(&place).unwrap_or_default());
        let mut config = live.clone();
        config.read_rules(&fields);
        config.review(node);
        fields.finish();
        Some(Self { percentage: percentage.unwrap_or(Percentage::ALL), config })
    }
}
