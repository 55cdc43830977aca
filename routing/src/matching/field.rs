//! The parts of a request that conditions test.

use crate::names::{Names, Slot};

/// A part of a request. It may have no value, one, or several; any of them may satisfy a condition.
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
    /// The first value of a query parameter, by its index in [`Fields::parameters`].
    Parameter(u32),
    /// A JWT claim or its elements, by its index in [`Fields::claims`].
    Claim(u32),
}

impl Field {
    /// The range of all header fields, in the order of fields.
    pub(crate) const HEADERS: std::ops::RangeInclusive<Self> = Self::Header(Slot::MIN)..=Self::Header(Slot::MAX);

    /// The field of a pseudo-header. `None` for other headers. Envoy treats `host` as another name of `:authority`.
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

/// The query parameters and claims that the rules of a table test.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Names of query parameters, case-sensitive.
    pub(crate) parameters: Names,
    /// Claims, by the path of their keys.
    pub(crate) claims: Box<[Vec<String>]>,
}
