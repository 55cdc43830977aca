//! Merges header operations of several levels into one list of changes.

use std::borrow::Cow;
use std::sync::Arc;

use super::format::Format;
use crate::matching::RequestView;
use crate::names::HeaderName;

/// One change of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChange {
    /// The header.
    pub name: HeaderName,
    /// The operation.
    pub operation: Operation,
    /// The value; empty for a removal.
    pub value: Box<[u8]>,
}

/// The kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Replace all values by one.
    Set,
    /// Append a value. It comes after any `Set` of the same header.
    Add,
    /// Remove all values.
    Remove,
}

/// Changes in order. No header has two `Set`s, or a `Set` and a `Remove`. Changes that are the same for every request
/// are shared with the table, so a copy costs one counter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges(Option<Arc<[HeaderChange]>>);

impl std::ops::Deref for HeaderChanges {
    type Target = [HeaderChange];

    fn deref(&self) -> &[HeaderChange] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<HeaderChange>> for HeaderChanges {
    fn from(changes: Vec<HeaderChange>) -> Self {
        Self((!changes.is_empty()).then(|| changes.into()))
    }
}

/// The header operations of a rule for one destination.
#[derive(Debug, Default)]
pub(crate) struct HeaderPolicy {
    pub(crate) authority: Option<Box<str>>,
    pub(crate) request: HeaderSteps,
    pub(crate) response: HeaderSteps,
}

/// Header operations in Envoy's order.
#[derive(Debug)]
pub(crate) enum HeaderSteps {
    /// The changes are the same for every request.
    Fixed(HeaderChanges),
    /// At least one value depends on the request.
    ByRequest(Box<[HeaderStep]>),
}

/// One configured operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderStep {
    pub(crate) name: HeaderName,
    pub(crate) operation: Operation,
    pub(crate) value: Format,
}

impl Default for HeaderSteps {
    fn default() -> Self {
        Self::Fixed(HeaderChanges::default())
    }
}

impl HeaderSteps {
    pub(crate) fn new(steps: Vec<HeaderStep>) -> Self {
        if steps.iter().all(|step| step.value.fixed().is_some()) {
            return Self::Fixed(changes(&steps, |format| Cow::Borrowed(format.fixed().unwrap_or_default())).into());
        }
        Self::ByRequest(steps.into())
    }

    /// The changes for a request.
    pub(crate) fn changes(&self, view: &RequestView<'_>, route: &str) -> HeaderChanges {
        match self {
            Self::Fixed(changes) => changes.clone(),
            Self::ByRequest(steps) => changes(steps, |format| format.expand(view, route)).into(),
        }
    }
}

/// The final values of a header.
struct Values<'s> {
    name: &'s HeaderName,
    replaced: bool,
    values: Vec<Cow<'s, [u8]>>,
}

/// Merges the steps. As in Envoy, an empty value changes nothing.
fn changes<'s>(steps: &'s [HeaderStep], expand: impl Fn(&'s Format) -> Cow<'s, [u8]>) -> Vec<HeaderChange> {
    let mut headers: Vec<Values<'s>> = Vec::new();
    for step in steps {
        let value = match step.operation {
            Operation::Remove => None,
            Operation::Set | Operation::Add => Some(expand(&step.value)),
        };
        if value.as_ref().is_some_and(|value| value.is_empty()) {
            continue;
        }
        let index = headers.iter().position(|header| *header.name == step.name).unwrap_or_else(|| {
            headers.push(Values { name: &step.name, replaced: false, values: Vec::new() });
            headers.len().saturating_sub(1)
        });
        let Some(header) = headers.get_mut(index) else { continue };
        if step.operation != Operation::Add {
            header.replaced = true;
            header.values.clear();
        }
        header.values.extend(value);
    }
    headers.into_iter().flat_map(Values::into_changes).collect()
}

impl Values<'_> {
    fn into_changes(self) -> impl Iterator<Item = HeaderChange> {
        let Self { name, replaced, values } = self;
        let change = |operation, value: &[u8]| HeaderChange { name: name.clone(), operation, value: value.into() };
        let removal = (replaced && values.is_empty()).then(|| change(Operation::Remove, b""));
        let values = values.into_iter().enumerate().map(move |(index, value)| match index {
            0 if replaced => change(Operation::Set, &value),
            _ => change(Operation::Add, &value),
        });
        removal.into_iter().chain(values)
    }
}

/// Adds headers that replace all earlier changes of the same headers.
pub(crate) fn set_on_top(changes: HeaderChanges, headers: &[(HeaderName, Vec<u8>)]) -> HeaderChanges {
    if headers.is_empty() {
        return changes;
    }
    let is_new = |change: &&HeaderChange| headers.iter().all(|(name, _)| *name != change.name);
    let mut changes: Vec<HeaderChange> = changes.iter().filter(is_new).cloned().collect();
    let set = |(name, value): &(HeaderName, Vec<u8>)| HeaderChange {
        name: name.clone(),
        operation: Operation::Set,
        value: value.as_slice().into(),
    };
    changes.extend(headers.iter().map(set));
    changes.into()
}

/// Applies changes to the headers of a local reply.
pub(crate) fn apply<'t>(changes: &[HeaderChange], headers: &mut Vec<(Cow<'t, str>, Cow<'t, [u8]>)>) {
    for HeaderChange { name, operation, value } in changes {
        let name = name.as_str();
        if *operation != Operation::Add {
            headers.retain(|(header, _)| header != name);
        }
        if *operation != Operation::Remove {
            headers.push((name.to_owned().into(), value.to_vec().into()));
        }
    }
}
