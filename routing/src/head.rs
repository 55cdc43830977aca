//! The head of a request, read in one pass over the host's header map.

use memchr::memchr2;
use smallvec::SmallVec;

use crate::names::{Names, Slot};
use crate::short_list::ShortList;

/// The pseudo-headers of a request and the values of the headers that a table knows, borrowed from the host's buffer.
///
/// Bytes are never assumed to be UTF-8. Values of a repeated header stay apart and in order. Reading costs one look at each name
/// and allocates nothing for up to 32 known names and 16 values of them.
#[derive(Debug, Clone)]
pub struct RequestHead<'r> {
    method: &'r [u8],
    scheme: &'r [u8],
    authority: &'r [u8],
    path: &'r [u8],
    /// The length of the path without query and fragment.
    uri_length: usize,
    /// By slot.
    places: SmallVec<[Place; 32]>,
    values: ShortList<Value<'r>, 16>,
}

/// The first and the last value of a header among the values; [`NOWHERE`] where it has none.
#[derive(Debug, Clone, Copy)]
struct Place {
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Value<'r> {
    bytes: &'r [u8],
    slot: Slot,
    /// The next value of the same header.
    next: u32,
}

const NOWHERE: u32 = u32::MAX;

impl<'r> RequestHead<'r> {
    pub(crate) fn read(names: &Names, pairs: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> Self {
        let mut head = Self {
            method: b"",
            scheme: b"",
            authority: b"",
            path: b"",
            uri_length: 0,
            places: SmallVec::from_elem(Place { first: NOWHERE, last: NOWHERE }, names.len()),
            values: ShortList::new(),
        };
        for (name, value) in pairs {
            match name {
                [b':', ..] => head.add_pseudo(name, value),
                _ => {
                    if let Some(slot) = names.slot(name) {
                        head.add(slot, value);
                    }
                }
            }
        }
        head.uri_length = memchr2(b'?', b'#', head.path).unwrap_or(head.path.len());
        head
    }

    fn add_pseudo(&mut self, name: &[u8], value: &'r [u8]) {
        match name {
            b":method" => self.method = value,
            b":scheme" => self.scheme = value,
            b":authority" => self.authority = value,
            b":path" => self.path = value,
            _ => {}
        }
    }

    fn add(&mut self, slot: Slot, value: &'r [u8]) {
        let number = u32::try_from(self.values.len()).unwrap_or(NOWHERE);
        let Some(place) = self.places.get_mut(slot.index()) else { return };
        if place.first == NOWHERE {
            place.first = number;
        } else if let Some(last) = usize::try_from(place.last).ok().and_then(|last| self.values.get_mut(last)) {
            last.next = number;
        }
        place.last = number;
        self.values.push(Value { bytes: value, slot, next: NOWHERE });
    }

    /// `:method`, as sent; empty where there is none.
    #[must_use]
    pub const fn method(&self) -> &'r [u8] {
        self.method
    }

    /// `:scheme`; empty where there is none.
    #[must_use]
    pub const fn scheme(&self) -> &'r [u8] {
        self.scheme
    }

    /// `:authority` or `Host` with its port, as sent; empty where there is none.
    #[must_use]
    pub const fn authority(&self) -> &'r [u8] {
        self.authority
    }

    /// `:path` with its query, as the connection manager hands it over.
    #[must_use]
    pub const fn path(&self) -> &'r [u8] {
        self.path
    }

    /// The path without query and fragment.
    pub(crate) fn uri(&self) -> &'r [u8] {
        self.path.get(..self.uri_length).unwrap_or(self.path)
    }

    /// The query with its question mark, and what follows; empty where there is none.
    pub(crate) fn query(&self) -> &'r [u8] {
        self.path.get(self.uri_length..).unwrap_or_default()
    }

    /// Every value of a header, in order.
    pub fn values(&self, slot: Slot) -> impl Iterator<Item = &'r [u8]> {
        let mut at = self.places.get(slot.index()).map_or(NOWHERE, |place| place.first);
        std::iter::from_fn(move || {
            let value = self.values.get(usize::try_from(at).ok()?)?;
            at = value.next;
            Some(value.bytes)
        })
    }

    /// Whether the request has a header.
    #[must_use]
    pub fn has(&self, slot: Slot) -> bool {
        self.places.get(slot.index()).is_some_and(|place| place.first != NOWHERE)
    }

    /// Whether a header has one value, and this one.
    #[must_use]
    pub fn is_exactly(&self, slot: Slot, value: &[u8]) -> bool {
        let Some(place) = self.places.get(slot.index()) else { return false };
        let only = usize::try_from(place.first).ok().and_then(|first| self.values.get(first));
        place.first == place.last && only.is_some_and(|only| only.bytes == value)
    }

    /// The first value of `content-type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&'r [u8]> {
        self.values(Slot::CONTENT_TYPE).next()
    }

    /// The slots that have a value, each once.
    pub(crate) fn present(&self) -> impl Iterator<Item = Slot> {
        let is_first = |number: usize, slot: Slot| {
            self.places.get(slot.index()).is_some_and(|place| usize::try_from(place.first) == Ok(number))
        };
        self.values
            .iter()
            .enumerate()
            .filter(move |(number, value)| is_first(*number, value.slot))
            .map(|(_, value)| value.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::RequestHead;
    use crate::names::NamesBuilder;

    #[test]
    fn holds_the_values_of_known_headers_in_order() {
        let mut builder = NamesBuilder::default();
        let [kind, user, none] = ["content-type", "end-user", "x-none"].map(|name| builder.header(name).slot());
        let names = builder.build();
        let pairs: [(&[u8], &[u8]); 9] = [
            (b":path", b"/a?b=c#d"),
            (b":method", b"GET"),
            (b":authority", b"reviews"),
            (b":status", b"200"),
            (b"end-user", b"jason"),
            (b"accept", b"*/*"),
            (b"content-type", b"\xff"),
            (b"end-user", b""),
            (b"End-User", b"eve"),
        ];
        let head = RequestHead::read(&names, pairs.into_iter());
        assert_eq!((head.method(), head.scheme(), head.authority()), (&b"GET"[..], &b""[..], &b"reviews"[..]));
        assert_eq!((head.path(), head.uri(), head.query()), (&b"/a?b=c#d"[..], &b"/a"[..], &b"?b=c#d"[..]));
        assert_eq!(head.values(user).collect::<Vec<_>>(), [&b"jason"[..], b""]);
        assert_eq!(head.content_type(), Some(&b"\xff"[..]));
        assert_eq!([user, kind, none].map(|slot| head.has(slot)), [true, true, false]);
        assert_eq!([user, kind, none].map(|slot| head.is_exactly(slot, b"\xff")), [false, true, false]);
        assert_eq!(head.present().collect::<Vec<_>>(), [user, kind]);
    }

    #[test]
    fn more_values_than_are_usual_are_all_there() {
        let mut builder = NamesBuilder::default();
        let slots: Vec<_> = (0..100).map(|number| builder.header(&format!("x-{number}")).slot()).collect();
        let names = builder.build();
        let lines: Vec<(String, String)> = (0..1_000).map(|n| (format!("x-{}", n % 100), n.to_string())).collect();
        let head = RequestHead::read(&names, lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        for (number, slot) in slots.into_iter().enumerate() {
            let values: Vec<_> = head.values(slot).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            assert_eq!(values, (0..10).map(|hundreds| (hundreds * 100 + number).to_string()).collect::<Vec<_>>());
        }
    }
}
