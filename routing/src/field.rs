//! The parts of a request that conditions look at.

use std::borrow::Cow;

use crate::path;
use crate::request::{Claim, RequestView};

/// A part of a request; it may have no value, one, or several, of which any may satisfy a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Field<'m> {
    /// The path without query and fragment.
    Uri,
    /// `:method`.
    Method,
    /// `:authority` as sent.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:path` with its query.
    Path,
    /// The lines of a header, by its name in lower case.
    Header(Cow<'m, str>),
    /// The first value of a query parameter.
    Query(Cow<'m, str>),
    /// A JWT claim or its elements, by the keys that lead to it.
    Claim(Cow<'m, [String]>),
}

/// String claims that hold a list, separated by blanks; istiod has Envoy's JWT filter take them apart.
const BLANK_SEPARATED_CLAIMS: [&str; 2] = ["scope", "permission"];

impl<'m> Field<'m> {
    /// What a header matcher names, which may be a pseudo-header; Envoy knows `host` as another name of `:authority`.
    pub(crate) fn header(name: &'m str) -> Self {
        match name {
            ":authority" | "host" => Self::Authority,
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":scheme" => Self::Scheme,
            _ => Self::Header(Cow::Borrowed(name)),
        }
    }

    /// The same without borrowing.
    pub(crate) fn into_owned(self) -> Field<'static> {
        match self {
            Self::Uri => Field::Uri,
            Self::Method => Field::Method,
            Self::Authority => Field::Authority,
            Self::Scheme => Field::Scheme,
            Self::Path => Field::Path,
            Self::Header(name) => Field::Header(Cow::Owned(name.into_owned())),
            Self::Query(name) => Field::Query(Cow::Owned(name.into_owned())),
            Self::Claim(keys) => Field::Claim(Cow::Owned(keys.into_owned())),
        }
    }

    /// Whether any value satisfies a test. Blanks around a header's value count: over HTTP/1 Envoy's codec has removed them, over
    /// HTTP/2 they are part of it for native routes, too. An empty pseudo-header is one that the request does not have.
    pub(crate) fn any(&self, request: &impl RequestView, mut test: impl FnMut(&[u8]) -> bool) -> bool {
        let pseudo = match self {
            Self::Uri => return test(path::without_query(request.path())),
            Self::Header(name) => return request.header(name).any(test),
            Self::Query(name) => return path::query_param(request.path(), name.as_bytes()).is_some_and(test),
            Self::Claim(keys) => return any_of_claim(request.claim(keys), keys, test),
            Self::Method => request.method(),
            Self::Authority => request.authority(),
            Self::Scheme => request.scheme(),
            Self::Path => request.path(),
        };
        !pseudo.is_empty() && test(pseudo)
    }
}

fn any_of_claim(claim: Claim, keys: &[String], mut test: impl FnMut(&[u8]) -> bool) -> bool {
    let is_list = matches!(keys, [name] if BLANK_SEPARATED_CLAIMS.contains(&name.as_str()));
    match claim {
        Claim::None => false,
        Claim::Text(text) if is_list => text.split(|byte| *byte == b' ').any(test),
        Claim::Text(text) => test(&text),
        Claim::List(list) => list.iter().any(|element| test(element)),
    }
}
