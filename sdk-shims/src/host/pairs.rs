//! The ABI's buffer of name-value pairs: header maps, and properties that are lists or structs.
//!
//! All numbers are 32-bit little-endian. First the number of pairs, then the sizes of the name and the value of each
//! pair. Then, in the same order, each name and each value, with a NUL after it that the sizes do not include. An empty
//! buffer is an empty map.

use std::{fmt, slice};

const COUNT_SIZE: usize = 4;
const SIZES_SIZE: usize = 8;
/// The two NULs of a pair.
const NULS: u64 = 2;

/// Name-value pairs in the host's order, in the host's own buffer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pairs {
    buffer: Vec<u8>,
    /// The end of the sizes, where the first name starts.
    names_start: usize,
}

/// The buffer is shorter than its sizes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedPairs;

impl fmt::Display for MalformedPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer of name-value pairs ends too early")
    }
}

impl std::error::Error for MalformedPairs {}

impl Pairs {
    /// Checks a buffer. Later reads copy and allocate nothing.
    ///
    /// # Errors
    /// If the buffer is shorter than its sizes say.
    pub fn parse(buffer: Vec<u8>) -> Result<Self, MalformedPairs> {
        if buffer.is_empty() {
            return Ok(Self::default());
        }
        let count = buffer.first_chunk().map(|count| index(u32::from_le_bytes(*count))).ok_or(MalformedPairs)?;
        let names_start =
            count.checked_mul(SIZES_SIZE).and_then(|sizes| sizes.checked_add(COUNT_SIZE)).ok_or(MalformedPairs)?;
        let pairs = Self { buffer, names_start };
        let sizes = pairs.sizes().ok_or(MalformedPairs)?.iter().map(Sizes::read);
        let text = sizes.fold(0_u64, |sum, sizes| sum.saturating_add(sizes.sum()));
        let held = pairs.buffer.len().saturating_sub(names_start);
        if u64::try_from(held).is_ok_and(|held| text <= held) { Ok(pairs) } else { Err(MalformedPairs) }
    }

    /// The sizes of all pairs. `None` if the buffer is too short for them.
    fn sizes(&self) -> Option<&[[u8; SIZES_SIZE]]> {
        let (sizes, _) = self.buffer.get(COUNT_SIZE.min(self.names_start)..self.names_start)?.as_chunks();
        Some(sizes)
    }

    /// Every pair in the host's order. A repeated header has one pair for each value.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { buffer: &self.buffer, sizes: self.sizes().unwrap_or_default().iter(), start: self.names_start }
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(k, v)| (k.escape_ascii().to_string(), v.escape_ascii().to_string())))
            .finish()
    }
}

impl<'a> IntoIterator for &'a Pairs {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// An iterator over [`Pairs`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    buffer: &'a [u8],
    sizes: slice::Iter<'a, [u8; SIZES_SIZE]>,
    /// The start of the next name.
    start: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    /// Costs about ten instructions for each pair, because [`Pairs::parse`] has checked the buffer.
    fn next(&mut self) -> Option<Self::Item> {
        let sizes = Sizes::read(self.sizes.next()?);
        let name_end = self.start.wrapping_add(index(sizes.name));
        let value_start = name_end.wrapping_add(1);
        let value_end = value_start.wrapping_add(index(sizes.value));
        let name_start = std::mem::replace(&mut self.start, value_end.wrapping_add(1));
        // SAFETY: `Pairs::parse` has found that the buffer holds every name and every value, each with its NUL, one after the
        // other from where the sizes end, and `Iter` walks the sizes that it has looked at, from their first.
        unsafe {
            Some((self.buffer.get_unchecked(name_start..name_end), self.buffer.get_unchecked(value_start..value_end)))
        }
    }
}

/// The lengths of a name and its value.
struct Sizes {
    name: u32,
    value: u32,
}

impl Sizes {
    fn read(&[n0, n1, n2, n3, v0, v1, v2, v3]: &[u8; SIZES_SIZE]) -> Self {
        Self { name: u32::from_le_bytes([n0, n1, n2, n3]), value: u32::from_le_bytes([v0, v1, v2, v3]) }
    }

    /// The bytes of the pair.
    fn sum(&self) -> u64 {
        u64::from(self.name).wrapping_add(self.value.into()).wrapping_add(NULS)
    }
}

/// Converts a 32-bit number. One that does not fit is larger than every buffer.
fn index(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

/// Encodes pairs. A count or a size above 32 bits is cut to 32 bits.
pub fn encode_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let count = u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX);
    let mut buffer = count.to_le_bytes().to_vec();
    for (name, value) in pairs.clone() {
        buffer.extend_from_slice(&size(name));
        buffer.extend_from_slice(&size(value));
    }
    for part in pairs.flat_map(|(name, value)| [name, value]) {
        buffer.extend_from_slice(part);
        buffer.push(0);
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a: b`, `c: ""` as Envoy writes them.
    const TWO: &[u8] = b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0a\0b\0c\0\0";

    fn parsed(buffer: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let pairs = Pairs::parse(buffer.to_vec()).ok()?;
        Some(pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    #[test]
    fn parses_the_hosts_format() {
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        for (row, buffer, expected) in [
            ("no bytes", &b""[..], Some(vec![])),
            ("count of zero", b"\0\0\0\0", Some(vec![])),
            ("two pairs", TWO, Some(vec![pair(b"a", b"b"), pair(b"c", b"")])),
            ("not UTF-8", b"\x01\0\0\0\x01\0\0\0\x01\0\0\0\xff\0\xfe\0", Some(vec![pair(b"\xff", b"\xfe")])),
            ("NUL inside", b"\x01\0\0\0\x01\0\0\0\x03\0\0\0a\0b\0c\0", Some(vec![pair(b"a", b"b\0c")])),
            ("count cut", b"\x01\0\0", None),
            ("count without sizes", b"\x01\0\0\0", None),
            ("huge count", b"\xff\xff\xff\xff\x01\0\0\0\x01\0\0\0a\0b\0", None),
            ("huge name", b"\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0a\0b\0", None),
            ("huge value", b"\x01\0\0\0\x01\0\0\0\xff\xff\xff\xffa\0b\0", None),
        ] {
            assert_eq!(parsed(buffer), expected, "{row}");
        }
    }

    #[test]
    fn rejects_every_prefix() {
        for end in 1..TWO.len() {
            assert_eq!(parsed(&TWO[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn encodes_the_hosts_format() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"a", b"b"), (b"c", b"")];
        assert_eq!(encode_pairs(pairs.into_iter()), TWO);
        assert_eq!(encode_pairs([].into_iter()), b"\0\0\0\0");
    }
}
