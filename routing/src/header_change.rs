//! Header operations of several levels as the changes that they come to.

use std::borrow::Cow;

use crate::config::HeaderOperations;
use crate::format::Format;
use crate::request::RequestView;

/// One change of one header. Names are in lower case; no name is in two `Set`s or in a `Set` and a `Remove`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderChange<'t> {
    /// Replace all lines by one.
    Set(&'t str, Cow<'t, [u8]>),
    /// Append a line, after any `Set` of the same name.
    Add(&'t str, Cow<'t, [u8]>),
    /// Remove all lines.
    Remove(&'t str),
}

/// One operation as it was configured, in the order in which Envoy would carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Remove(String),
    Set(String, Format),
    Add(String, Format),
}

/// The steps of operations that Envoy carries out as one list: all removals, then each part's `set` and `add`.
pub(crate) fn steps(parts: &[&HeaderOperations]) -> Vec<Step> {
    let mut steps = Vec::new();
    for name in parts.iter().flat_map(|part| &part.remove) {
        steps.push(Step::Remove(name.clone()));
    }
    for part in parts {
        for (name, value) in &part.set {
            steps.push(Step::Set(name.clone(), value.clone()));
        }
        for (name, value) in &part.add {
            steps.push(Step::Add(name.clone(), value.clone()));
        }
    }
    steps
}

/// What a header comes to: whether the lines before still stand, and the lines after them.
struct Lines<'t> {
    name: &'t str,
    replaced: bool,
    values: Vec<Cow<'t, [u8]>>,
}

/// What the steps come to for a request. A value that expands to nothing changes nothing, as in Envoy.
pub(crate) fn changes<'t>(steps: &'t [Step], request: &impl RequestView, route: &str) -> Vec<HeaderChange<'t>> {
    if steps.is_empty() {
        return Vec::new();
    }
    let mut headers: Vec<Lines<'t>> = Vec::new();
    for step in steps {
        let (name, value) = match step {
            Step::Remove(name) => (name, None),
            Step::Set(name, value) | Step::Add(name, value) => (name, Some(value.expand(request, route))),
        };
        if value.as_ref().is_some_and(|value| value.is_empty()) {
            continue;
        }
        let index = headers.iter().position(|lines| lines.name == name);
        let mut lines = match index {
            Some(index) => headers.remove(index),
            None => Lines { name, replaced: false, values: Vec::new() },
        };
        if !matches!(step, Step::Add(..)) {
            lines.replaced = true;
            lines.values.clear();
        }
        lines.values.extend(value);
        headers.insert(index.unwrap_or(headers.len()), lines);
    }
    headers.into_iter().flat_map(Lines::into_changes).collect()
}

/// The changes with more headers set on top.
pub(crate) fn set_on_top<'t>(changes: &mut Vec<HeaderChange<'t>>, headers: Vec<(&'t str, Cow<'t, [u8]>)>) {
    for (name, value) in headers {
        changes.retain(|change| change.name() != name);
        changes.push(HeaderChange::Set(name, value));
    }
}

/// The headers of a reply after the changes.
pub(crate) fn apply<'t>(changes: Vec<HeaderChange<'t>>, headers: &mut Vec<(Cow<'t, str>, Cow<'t, [u8]>)>) {
    for change in changes {
        match change {
            HeaderChange::Remove(name) => headers.retain(|(header, _)| header != name),
            HeaderChange::Set(name, value) => {
                headers.retain(|(header, _)| header != name);
                headers.push((name.into(), value));
            }
            HeaderChange::Add(name, value) => headers.push((name.into(), value)),
        }
    }
}

impl<'t> Lines<'t> {
    fn into_changes(self) -> impl Iterator<Item = HeaderChange<'t>> {
        let Self { name, replaced, values } = self;
        let removal = (replaced && values.is_empty()).then_some(HeaderChange::Remove(name));
        let lines = values.into_iter().enumerate().map(move |(index, value)| match index {
            0 if replaced => HeaderChange::Set(name, value),
            _ => HeaderChange::Add(name, value),
        });
        removal.into_iter().chain(lines)
    }
}

impl HeaderChange<'_> {
    /// The header's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Add(name, _) | Self::Remove(name) => name,
        }
    }
}
