//! The response's headers. Nothing of the request can be read in the response phase, so what is to change is kept until then.

use std::borrow::Cow;

use canary_routing::HeaderChange;
use sdk_shims::host::HeaderMap;

use crate::headers;

/// A [`HeaderChange`] that outlives the decision.
pub(crate) enum ResponseChange {
    Set(String, Vec<u8>),
    Add(String, Vec<u8>),
    Remove(String),
}

impl ResponseChange {
    pub(crate) fn of_forward(changes: Vec<HeaderChange<'_>>) -> Vec<Self> {
        let own = |change| match change {
            HeaderChange::Set(name, value) => Self::Set(name.to_owned(), value.into_owned()),
            HeaderChange::Add(name, value) => Self::Add(name.to_owned(), value.into_owned()),
            HeaderChange::Remove(name) => Self::Remove(name.to_owned()),
        };
        changes.into_iter().map(own).collect()
    }

    /// For an answer that Envoy gives in the filter's stead: a header's first line replaces, the others are added.
    pub(crate) fn of_reply(headers: Vec<(Cow<'_, str>, Cow<'_, [u8]>)>) -> Vec<Self> {
        let mut changes: Vec<Self> = Vec::new();
        for (name, value) in headers {
            let is_set = changes.iter().any(|change| matches!(change, Self::Set(set, _) if *set == name));
            let (name, value) = (name.into_owned(), value.into_owned());
            changes.push(if is_set { Self::Add(name, value) } else { Self::Set(name, value) });
        }
        changes
    }

    /// Changes the response of the stream whose callback is running.
    pub(crate) fn carry_out(&self) {
        match self {
            Self::Set(name, value) => {
                headers::replace(HeaderMap::Response, name, value);
            }
            Self::Add(name, value) => headers::add(HeaderMap::Response, name, value),
            Self::Remove(name) => headers::remove(HeaderMap::Response, name),
        }
    }
}
