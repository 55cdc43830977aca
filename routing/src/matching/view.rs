//! The request as the rules see it.

use std::cell::OnceCell;
use std::ops::Range;

use super::field::{Field, Fields};
use crate::acting::path;
use crate::context::{Claim, RequestContext};
use crate::head::RequestHead;
use crate::names::Slot;
use crate::short_list::ShortList;

/// One request as the rules of one host see it: version headers name existing versions, and hidden headers are absent.
/// Query parameters and claims are parsed on first use.
pub(crate) struct RequestView<'r> {
    pub(crate) head: &'r RequestHead<'r>,
    pub(crate) context: &'r dyn RequestContext,
    fields: &'r Fields,
    hidden: HiddenHeaders,
    /// The values that rules see instead of the values of a header.
    replaced: ShortList<(Slot, &'r [u8]), 2>,
    /// By number: the range in the query of the first value of each parameter.
    parameters: OnceCell<Box<[Option<Range<usize>>]>>,
    claims: OnceCell<Box<[OnceCell<Claim>]>>,
}

/// The headers that rules, format strings and sticky keys cannot see: control headers and headers with secrets.
#[derive(Debug, Clone)]
pub(crate) struct HiddenHeaders {
    pub(crate) slots: Range<usize>,
    /// A control header by which a trusted client has forced a version. It is visible.
    pub(crate) visible: Option<Slot>,
}

impl HiddenHeaders {
    fn hides(&self, slot: Slot) -> bool {
        self.slots.contains(&slot.index()) && self.visible != Some(slot)
    }
}

/// String claims that hold a list, separated by blanks. istiod has Envoy's JWT filter split them.
const BLANK_SEPARATED_CLAIMS: [&str; 2] = ["scope", "permission"];

impl<'r> RequestView<'r> {
    pub(crate) fn new(
        head: &'r RequestHead<'r>,
        context: &'r dyn RequestContext,
        fields: &'r Fields,
        hidden: HiddenHeaders,
    ) -> Self {
        let (parameters, claims) = (OnceCell::new(), OnceCell::new());
        Self { head, context, fields, hidden, replaced: ShortList::new(), parameters, claims }
    }

    /// Makes rules see one value of a header, whatever the client sent.
    pub(crate) fn replace(&mut self, slot: Slot, value: &'r [u8]) {
        self.replaced.push((slot, value));
    }

    /// Whether any value of a field satisfies a test. Blanks around a header value count: Envoy removes them over
    /// HTTP/1, and over HTTP/2 native routes see them, too. An empty pseudo-header counts as absent.
    pub(crate) fn any(&self, field: Field, mut test: impl FnMut(&[u8]) -> bool) -> bool {
        match field {
            Field::Uri => test(self.head.uri()),
            Field::Header(slot) => match self.replacement(slot) {
                Some(value) => test(value),
                None => !self.hidden.hides(slot) && self.head.values(slot).any(test),
            },
            Field::Parameter(number) => self.parameter(number).is_some_and(test),
            Field::Claim(number) => self.any_of_claim(number, test),
            Field::Method | Field::Authority | Field::Scheme | Field::Path => self.pseudo(field).is_some_and(test),
        }
    }

    /// The first value of a field. The field must not be a claim.
    pub(crate) fn first(&self, field: Field) -> Option<&'r [u8]> {
        match field {
            Field::Uri => Some(self.head.uri()),
            Field::Header(slot) => self.replacement(slot).or_else(|| self.values(slot).next()),
            Field::Parameter(number) => self.parameter(number),
            Field::Method | Field::Authority | Field::Scheme | Field::Path => self.pseudo(field),
            Field::Claim(_) => None,
        }
    }

    /// The values of a header that the client sent and rules may see.
    pub(crate) fn values(&self, slot: Slot) -> impl Iterator<Item = &'r [u8]> {
        self.head.values(slot).filter(move |_| !self.hidden.hides(slot))
    }

    /// The headers that have a value, sent or replaced. Each is listed once.
    pub(crate) fn header_fields(&self) -> impl Iterator<Item = Field> {
        let is_replaced = |slot: Slot| self.replacement(slot).is_some();
        let sent = self.head.present().filter(move |slot| !is_replaced(*slot));
        sent.chain(self.replaced.iter().map(|(slot, _)| *slot)).map(Field::Header)
    }

    /// A claim by its number.
    pub(crate) fn claim(&self, number: u32) -> Option<&Claim> {
        let number = usize::try_from(number).ok()?;
        let keys = self.fields.claims.get(number)?;
        let known = self.claims.get_or_init(|| self.fields.claims.iter().map(|_| OnceCell::new()).collect());
        Some(known.get(number)?.get_or_init(|| self.context.claim(keys)))
    }

    fn replacement(&self, slot: Slot) -> Option<&'r [u8]> {
        self.replaced.iter().find(|(replaced, _)| *replaced == slot).map(|(_, value)| *value)
    }

    fn pseudo(&self, field: Field) -> Option<&'r [u8]> {
        let value = match field {
            Field::Method => self.head.method(),
            Field::Authority => self.head.authority(),
            Field::Scheme => self.head.scheme(),
            _ => self.head.path(),
        };
        (!value.is_empty()).then_some(value)
    }

    /// The first value of a parameter. One pass over the query finds all parameters that the table knows.
    fn parameter(&self, number: u32) -> Option<&'r [u8]> {
        let query = self.head.query();
        let all = self.parameters.get_or_init(|| {
            let mut all = vec![None; self.fields.parameters.len()];
            for (name, value) in path::parameters(query) {
                let number = self.fields.parameters.find(name).and_then(|number| usize::try_from(number).ok());
                if let Some(place) = number.and_then(|number| all.get_mut(number)) {
                    place.get_or_insert(value);
                }
            }
            all.into()
        });
        query.get(all.get(usize::try_from(number).ok()?)?.clone()?)
    }

    fn any_of_claim(&self, number: u32, mut test: impl FnMut(&[u8]) -> bool) -> bool {
        let keys = usize::try_from(number).ok().and_then(|number| self.fields.claims.get(number));
        let is_list =
            matches!(keys.map(Vec::as_slice), Some([name]) if BLANK_SEPARATED_CLAIMS.contains(&name.as_str()));
        match self.claim(number) {
            None | Some(Claim::None) => false,
            Some(Claim::Text(text)) if is_list => text.split(|byte| *byte == b' ').any(test),
            Some(Claim::Text(text)) => test(text),
            Some(Claim::List(list)) => list.iter().any(|element| test(element)),
        }
    }
}
