//! Changes of the response's headers. They are stored from the request phase, because the response phase cannot read
//! the request.

use std::borrow::Cow;

use canary_routing::{HeaderChanges, Operation};

use super::headers;
use crate::host::{HeadersOf, Host};

/// The changes of one response. Changes that are the same for every request are shared with the table.
#[derive(Debug, Default)]
pub(crate) struct ResponseChanges {
    changes: HeaderChanges,
    more: Vec<(Operation, String, Vec<u8>)>,
}

impl ResponseChanges {
    pub(crate) const fn of_forward(changes: HeaderChanges) -> Self {
        Self { changes, more: Vec::new() }
    }

    /// For a reply that Envoy sends instead of the filter. The first value of a header replaces, and the others are
    /// added.
    pub(crate) fn of_reply(headers: Vec<(Cow<'_, str>, Cow<'_, [u8]>)>) -> Self {
        let mut more: Vec<(Operation, String, Vec<u8>)> = Vec::new();
        for (name, value) in headers {
            let is_set = more.iter().any(|(_, set, _)| *set == name);
            let operation = if is_set { Operation::Add } else { Operation::Set };
            more.push((operation, name.into_owned(), value.into_owned()));
        }
        Self { changes: HeaderChanges::default(), more }
    }

    /// Replaces the changes, because another version has answered.
    pub(crate) fn replace(&mut self, changes: HeaderChanges) {
        self.changes = changes;
    }

    /// Appends to the value of an extra header, if one has this name.
    pub(crate) fn extend(&mut self, name: &str, text: &str) {
        if let Some((_, _, value)) = self.more.iter_mut().find(|(_, set, _)| set == name) {
            value.extend_from_slice(text.as_bytes());
        }
    }

    /// Sets an extra header.
    pub(crate) fn set(&mut self, name: String, value: Vec<u8>) {
        self.more.push((Operation::Set, name, value));
    }

    /// Changes the response of the current stream.
    pub(crate) fn apply(&self, host: &impl Host) {
        for change in &*self.changes {
            apply_change(host, change.operation, change.name.as_str(), &change.value);
        }
        for (operation, name, value) in &self.more {
            apply_change(host, *operation, name, value);
        }
    }
}

fn apply_change(host: &impl Host, operation: Operation, name: &str, value: &[u8]) {
    match operation {
        Operation::Set => {
            headers::set(host, HeadersOf::Response, name, value);
        }
        Operation::Add => headers::add(host, HeadersOf::Response, name, value),
        Operation::Remove => headers::remove(host, HeadersOf::Response, name),
    }
}
