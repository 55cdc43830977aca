//! The regexes of one field.

use crate::regex::{RegexSet, RequiredLiteral};

/// Regexes of one field that run together.
#[derive(Debug)]
pub(super) struct FieldRegexes {
    pub(super) set: RegexSet,
    pub(super) members: usize,
    /// What the only member of the set requires of a value, if the set has one member and this is known.
    pub(super) required: Option<RequiredLiteral>,
}
