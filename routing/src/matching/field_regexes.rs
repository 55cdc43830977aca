//! The regexes of one field.

use crate::regex::{RegexSet, RequiredLiteral};

/// Regexes of one field, run together.
#[derive(Debug)]
pub(super) struct FieldRegexes {
    pub(super) set: RegexSet,
    pub(super) members: usize,
    /// What a value needs for the only member to match, where the set has one and that is known.
    pub(super) required: Option<RequiredLiteral>,
}
