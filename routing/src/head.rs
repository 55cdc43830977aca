//! The headers of a request, read in one pass over the host's header map.

use std::cell::OnceCell;
use std::ops::Range;

use memchr::memchr2;

use crate::names::{Names, Slot};
use crate::short_list::ShortList;

/// The pseudo-headers of a request and the values of the headers that a table knows, borrowed from the host's buffer.
///
/// Bytes are never assumed to be UTF-8. The values of a repeated header are separate and in order. Reading looks up
/// each name once. It allocates nothing if the table knows at most eight of the values.
#[derive(Debug, Clone)]
pub struct RequestHead<'r> {
    method: &'r [u8],
    scheme: &'r [u8],
    authority: &'r [u8],
    path: &'r [u8],
    /// The length of the path without query and fragment.
    uri_length: OnceCell<usize>,
    values: ShortList<Value<'r>, MAX_SCANNED>,
    /// By slot. Empty up to [`MAX_SCANNED`] values; these are scanned instead.
    places: Vec<Place>,
    /// How many slots the table has.
    slots: usize,
    content_type: Slot,
    has_own: bool,
}

/// Up to this number, values are found by a scan.
const MAX_SCANNED: usize = 8;

/// The first and the last value of a header, as indices of values. [`NONE`] if it has no value.
#[derive(Debug, Clone, Copy)]
struct Place {
    first: usize,
    last: usize,
}

#[derive(Debug, Clone, Copy)]
struct Value<'r> {
    bytes: &'r [u8],
    slot: Slot,
    /// The next value of the same header, or [`NONE`].
    next: usize,
}

const NONE: usize = usize::MAX;

impl<'r> RequestHead<'r> {
    /// A head without content.
    #[inline]
    #[must_use]
    pub fn unread() -> Self {
        Self {
            method: b"",
            scheme: b"",
            authority: b"",
            path: b"",
            uri_length: OnceCell::new(),
            values: ShortList::new(),
            places: Vec::new(),
            slots: 0,
            content_type: Slot::MAX,
            has_own: false,
        }
    }

    /// Reads pairs of names and values. It reads in place, because a head is too large to move. `own` are the slots of
    /// the headers that no client may send.
    pub(crate) fn read(
        &mut self,
        names: &Names,
        own: Range<usize>,
        content_type: Slot,
        pairs: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    ) {
        self.slots = names.len();
        self.content_type = content_type;
        for (name, value) in pairs {
            if let Some(slot) = names.slot(name) {
                self.has_own |= own.contains(&slot.index());
                self.add(slot, value);
            } else if let [b':', name @ ..] = name {
                self.add_pseudo(name, value);
            }
        }
    }

    /// Adds a pseudo-header by its name without the colon.
    #[inline]
    fn add_pseudo(&mut self, name: &[u8], value: &'r [u8]) {
        match name {
            b"path" => self.path = value,
            b"method" => self.method = value,
            b"scheme" => self.scheme = value,
            b"authority" => self.authority = value,
            _ => {}
        }
    }

    fn add(&mut self, slot: Slot, value: &'r [u8]) {
        let number = self.values.len();
        if number == MAX_SCANNED {
            self.places = self.places_of_values();
        }
        let last = if self.places.is_empty() {
            let numbers = self.values.iter().enumerate().filter(|(_, value)| value.slot == slot);
            numbers.map(|(number, _)| number).last().unwrap_or(NONE)
        } else {
            let place = self.places.get_mut(slot.index());
            place.map_or(NONE, |place| {
                if place.first == NONE {
                    place.first = number;
                }
                std::mem::replace(&mut place.last, number)
            })
        };
        if let Some(last) = self.values.get_mut(last) {
            last.next = number;
        }
        self.values.push(Value { bytes: value, slot, next: NONE });
    }

    fn places_of_values(&self) -> Vec<Place> {
        let mut places = vec![Place { first: NONE, last: NONE }; self.slots];
        for (number, value) in self.values.iter().enumerate() {
            if let Some(place) = places.get_mut(value.slot.index()) {
                place.first = place.first.min(number);
                place.last = number;
            }
        }
        places
    }

    /// The index of the first value of a header. [`NONE`] if it has no value.
    fn first(&self, slot: Slot) -> usize {
        if self.places.is_empty() {
            self.values.iter().position(|value| value.slot == slot).unwrap_or(NONE)
        } else {
            self.places.get(slot.index()).map_or(NONE, |place| place.first)
        }
    }

    /// `:method`, as sent. Empty if absent.
    #[must_use]
    pub const fn method(&self) -> &'r [u8] {
        self.method
    }

    /// `:scheme`. Empty if absent.
    #[must_use]
    pub const fn scheme(&self) -> &'r [u8] {
        self.scheme
    }

    /// `:authority` or `Host` with its port, as sent. Empty if absent.
    #[must_use]
    pub const fn authority(&self) -> &'r [u8] {
        self.authority
    }

    /// `:path` with its query, as the connection manager passes it on.
    #[must_use]
    pub const fn path(&self) -> &'r [u8] {
        self.path
    }

    /// The path without query and fragment. It is split on first use.
    pub(crate) fn uri(&self) -> &'r [u8] {
        self.path.get(..self.uri_length()).unwrap_or(self.path)
    }

    fn uri_length(&self) -> usize {
        *self.uri_length.get_or_init(|| memchr2(b'?', b'#', self.path).unwrap_or(self.path.len()))
    }

    /// The query with its question mark, and the fragment. Empty if absent.
    pub(crate) fn query(&self) -> &'r [u8] {
        self.path.get(self.uri_length()..).unwrap_or_default()
    }

    /// Every value of a header, in order.
    pub fn values(&self, slot: Slot) -> impl Iterator<Item = &'r [u8]> {
        let mut at = self.first(slot);
        std::iter::from_fn(move || {
            let value = self.values.get(at)?;
            at = value.next;
            Some(value.bytes)
        })
    }

    /// Whether the request has a header.
    #[must_use]
    pub fn has(&self, slot: Slot) -> bool {
        self.first(slot) != NONE
    }

    /// Whether the request has any header that no client may send.
    #[must_use]
    pub const fn has_own(&self) -> bool {
        self.has_own
    }

    /// Whether the header has exactly one value, and it is this one.
    #[must_use]
    pub fn is_exactly(&self, slot: Slot, value: &[u8]) -> bool {
        self.values.get(self.first(slot)).is_some_and(|only| only.next == NONE && only.bytes == value)
    }

    /// The first value of `content-type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&'r [u8]> {
        self.values(self.content_type).next()
    }

    /// The slots that have a value. Each is listed once.
    pub(crate) fn present(&self) -> impl Iterator<Item = Slot> {
        let values = self.values.iter().enumerate();
        values.filter(move |(number, value)| self.first(value.slot) == *number).map(|(_, value)| value.slot)
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
        let mut head = RequestHead::unread();
        head.read(&names, 1..2, kind, pairs.into_iter());
        assert_eq!((head.method(), head.scheme(), head.authority()), (&b"GET"[..], &b""[..], &b"reviews"[..]));
        assert_eq!((head.path(), head.uri(), head.query()), (&b"/a?b=c#d"[..], &b"/a"[..], &b"?b=c#d"[..]));
        assert_eq!(head.values(user).collect::<Vec<_>>(), [&b"jason"[..], b""]);
        assert_eq!(head.content_type(), Some(&b"\xff"[..]));
        assert_eq!([user, kind, none].map(|slot| head.has(slot)), [true, true, false]);
        assert_eq!([user, kind, none].map(|slot| head.is_exactly(slot, b"\xff")), [false, true, false]);
        assert!(head.has_own());
        assert_eq!(head.present().collect::<Vec<_>>(), [user, kind]);
    }

    #[test]
    fn more_values_than_are_usual_are_all_there() {
        let mut builder = NamesBuilder::default();
        let slots: Vec<_> = (0..100).map(|number| builder.header(&format!("x-{number}")).slot()).collect();
        let names = builder.build();
        let lines: Vec<(String, String)> = (0..1_000).map(|n| (format!("x-{}", n % 100), n.to_string())).collect();
        let pairs = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let mut head = RequestHead::unread();
        head.read(&names, 0..0, slots[0], pairs);
        for (number, slot) in slots.into_iter().enumerate() {
            let values: Vec<_> = head.values(slot).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            assert_eq!(values, (0..10).map(|hundreds| (hundreds * 100 + number).to_string()).collect::<Vec<_>>());
        }
    }
}
