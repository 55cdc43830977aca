//! Changes of the response's headers. Nothing of the request can be read in the response phase, so they are kept until then.

use std::borrow::Cow;

use canary_routing::{HeaderChanges, Operation};

use super::headers;
use crate::host::{HeadersOf, Host};

/// The changes of one response. Those that a table has for every request are shared with it.
#[derive(Debug, Default)]
pub(crate) struct ResponseChanges {
    changes: HeaderChanges,
    more: Vec<(Operation, String, Vec<u8>)>,
}

impl ResponseChanges {
    pub(crate) const fn of_forward(changes: HeaderChanges) -> Self {
        Self { changes, more: Vec::new() }
    }

    /// For an answer that Envoy gives in the filter's stead: a header's first value replaces, the others are added.
    pub(crate) fn of_reply(headers: Vec<(Cow<'_, str>, Cow<'_, [u8]>)>) -> Self {
        let mut more: Vec<(Operation, String, Vec<u8>)> = Vec::new();
        for (name, value) in headers {
            let is_set = more.iter().any(|(_, set, _)| *set == name);
            let operation = if is_set { Operation::Add } else { Operation::Set };
            more.push((operation, name.into_owned(), value.into_owned()));
        }
        Self { changes: HeaderChanges::default(), more }
    }

    /// The response is that of another version.
    pub(crate) fn replace(&mut self, changes: HeaderChanges) {
        self.changes = changes;
    }

    /// Adds to the value of a header that is set beside the changes, if there is one of this name.
    pub(crate) fn extend(&mut self, name: &str, text: &str) {
        if let Some((_, _, value)) = self.more.iter_mut().find(|(_, set, _)| set == name) {
            value.extend_from_slice(text.as_bytes());
        }
    }

    /// One more header is set.
    pub(crate) fn set(&mut self, name: String, value: Vec<u8>) {
        self.more.push((Operation::Set, name, value));
    }

    /// Changes the response of the stream in force.
    pub(crate) fn carry_out(&self, host: &impl Host) {
        for change in &*self.changes {
            carry_out(host, change.operation, change.name.as_str(), &change.value);
        }
        for (operation, name, value) in &self.more {
            carry_out(host, *operation, name, value);
        }
    }
}

fn carry_out(host: &impl Host, operation: Operation, name: &str, value: &[u8]) {
    match operation {
        Operation::Set => {
            headers::set(host, HeadersOf::Response, name, value);
        }
        Operation::Add => headers::add(host, HeadersOf::Response, name, value),
        Operation::Remove => headers::remove(host, HeadersOf::Response, name),
    }
}
