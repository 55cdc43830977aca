//! The names that a table knows, each with a number. A look-up costs one hash and one comparison.

use std::sync::Arc;

use canary_config::word_hash::{WordMap, word_hash};

/// The index of a header's values in every [`RequestHead`](crate::RequestHead) of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    pub(crate) const MIN: Self = Self(0);
    pub(crate) const MAX: Self = Self(u32::MAX);

    /// The number of the slot in its table.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A header that a table knows, by its name in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName {
    name: Arc<str>,
    slot: Slot,
}

impl HeaderName {
    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The slot of its values in a request's head.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }
}

/// Numbered names.
#[derive(Debug)]
pub(crate) struct Names {
    names: Box<[Arc<str>]>,
    /// A filter by length and last byte, one bit for each combination. It rejects most headers of a request.
    kinds: [u64; 4],
    /// The shift from a hash to its first bucket.
    shift: u32,
    /// Open addressing, at most half full.
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// The lower half of the name's hash.
    fingerprint: u32,
    /// The number of the name, or [`FREE`].
    number: u32,
}

const FREE: u32 = u32::MAX;

impl Names {
    /// The number of names.
    pub(crate) const fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a name. The cost is the length of the name. For most unknown names it is one bit test.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let (word, bit) = kind(name);
        if self.kinds.get(word)? & bit == 0 {
            return None;
        }
        self.look_up(name)
    }

    fn look_up(&self, name: &[u8]) -> Option<u32> {
        let hash = word_hash(name);
        let mut place = usize::try_from(hash.checked_shr(self.shift).unwrap_or(0)).unwrap_or(0);
        loop {
            let bucket = self.buckets.get(place)?;
            if bucket.number == FREE {
                return None;
            }
            if bucket.fingerprint == hash as u32
                && self.name(bucket.number).is_some_and(|known| known.as_bytes() == name)
            {
                return Some(bucket.number);
            }
            place = next(place, self.buckets.len());
        }
    }

    /// The slot of a header's name.
    #[inline]
    pub(crate) fn slot(&self, name: &[u8]) -> Option<Slot> {
        self.find(name).map(Slot)
    }

    fn name(&self, number: u32) -> Option<&str> {
        self.names.get(usize::try_from(number).ok()?).map(AsRef::as_ref)
    }
}

/// The word and the bit for a name in `kinds`.
#[inline]
fn kind(name: &[u8]) -> (usize, u64) {
    let last = name.last().copied().unwrap_or_default();
    let kind = name.len().wrapping_mul(11).wrapping_add(usize::from(last));
    ((kind >> 6) & 3, 1_u64.wrapping_shl(kind as u32))
}

const fn next(place: usize, count: usize) -> usize {
    let next = place.wrapping_add(1);
    if next < count { next } else { 0 }
}

/// The state while names are numbered.
#[derive(Debug, Default)]
pub(crate) struct NamesBuilder {
    numbers: WordMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl NamesBuilder {
    /// The number of a name. A new name gets the next number.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(FREE);
        let name: Arc<str> = name.into();
        self.numbers.insert(Arc::clone(&name), number);
        self.names.push(name);
        number
    }

    /// The header with this name. The name must be in lower case.
    pub(crate) fn header(&mut self, name: &str) -> HeaderName {
        let number = self.number(name);
        let known = usize::try_from(number).ok().and_then(|number| self.names.get(number));
        HeaderName { name: known.map_or_else(|| name.into(), Arc::clone), slot: Slot(number) }
    }

    pub(crate) fn build(self) -> Names {
        let count = self.names.len().saturating_mul(2).next_power_of_two().max(2);
        let shift = u64::BITS.saturating_sub(count.trailing_zeros());
        let mut buckets = vec![Bucket { fingerprint: 0, number: FREE }; count];
        for (number, name) in (0..).zip(&self.names) {
            let hash = word_hash(name.as_bytes());
            let mut place = usize::try_from(hash.checked_shr(shift).unwrap_or(0)).unwrap_or(0);
            while buckets.get(place).is_some_and(|bucket| bucket.number != FREE) {
                place = next(place, count);
            }
            if let Some(free) = buckets.get_mut(place) {
                *free = Bucket { fingerprint: hash as u32, number };
            }
        }
        let mut kinds = [0_u64; 4];
        for (word, bit) in self.names.iter().map(|name| kind(name.as_bytes())) {
            kinds.get_mut(word).into_iter().for_each(|word| *word |= bit);
        }
        Names { names: self.names.into(), kinds, shift, buckets: buckets.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, NamesBuilder};

    fn names<'n>(all: impl IntoIterator<Item = &'n str>) -> Names {
        let mut builder = NamesBuilder::default();
        all.into_iter().for_each(|name| {
            builder.number(name);
        });
        builder.build()
    }

    #[test]
    fn finds_what_it_knows_and_nothing_else() {
        for count in [0_usize, 1, 2, 3, 7, 8, 1_000] {
            let known: Vec<String> = (0..count).map(|number| format!("x-header-{number}")).collect();
            let names = names(known.iter().map(String::as_str));
            assert_eq!(names.len(), count);
            for (number, name) in (0..).zip(&known) {
                assert_eq!(names.find(name.as_bytes()), Some(number), "{name} of {count}");
            }
            for unknown in ["", "x", "x-header-", "x-header-1000", "X-header-0", "y-header-0"] {
                assert_eq!(names.find(unknown.as_bytes()), None, "{unknown} of {count}");
            }
        }
    }

    #[test]
    fn a_name_has_one_number() {
        let names = names(["a", "b", "a", "c"]);
        assert_eq!([b"a", b"b", b"c"].map(|name| names.find(name)), [Some(0), Some(1), Some(2)]);
    }
}
