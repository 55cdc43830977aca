//! The parts of a request that conditions look at.

use crate::names::{Names, Slot};

/// A part of a request; it has no value, one, or several, of which any may satisfy a condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Field {
    /// The path without query and fragment.
    #[default]
    Uri,
    /// `:method`.
    Method,
    /// `:authority` as sent.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:path` with its query.
    Path,
    /// The values of a header.
    Header(Slot),
    /// The first value of a query parameter, by its number among [`Fields::parameters`].
    Parameter(u32),
    /// A JWT claim or its elements, by its number among [`Fields::claims`].
    Claim(u32),
}

impl Field {
    /// The fields that are headers, in their order among all fields.
    pub(crate) const HEADERS: std::ops::RangeInclusive<Self> = Self::Header(Slot::MIN)..=Self::Header(Slot::MAX);

    /// The field of a pseudo-header; Envoy knows `host` as another name of `:authority`. `None` for other headers.
    pub(crate) fn pseudo(name: &str) -> Option<Self> {
        match name {
            ":authority" | "host" => Some(Self::Authority),
            ":method" => Some(Self::Method),
            ":path" => Some(Self::Path),
            ":scheme" => Some(Self::Scheme),
            _ => None,
        }
    }
}

/// The query parameters and claims that the rules of a table look at.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Names of query parameters, case-sensitive.
    pub(crate) parameters: Names,
    /// Claims, by the keys that lead to them.
    pub(crate) claims: Box<[Vec<String>]>,
}
