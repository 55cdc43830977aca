//! The ABI's buffer of name-value pairs: header maps, and lists and structs among the properties.
//!
//! All numbers are 32-bit little-endian: the count; for each pair the sizes of name and value; then, in the same order,
//! each name and each value followed by a NUL that the sizes do not count. No bytes at all are an empty map.

use std::{fmt, slice};

const COUNT_SIZE: usize = 4;
const SIZES_SIZE: usize = 8;
/// Bytes of a pair that its sizes do not count.
const NULS: u64 = 2;

/// Name-value pairs in the host's order, kept in the host's own buffer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pairs {
    buffer: Vec<u8>,
    /// Where the sizes end and the first name starts.
    names_start: usize,
}

/// The buffer ends before what it announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedPairs;

impl fmt::Display for MalformedPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer of name-value pairs ends too early")
    }
}

impl std::error::Error for MalformedPairs {}

impl Pairs {
    /// Checks a buffer once; reading from it afterwards copies and allocates nothing.
    ///
    /// # Errors
    /// If the buffer is shorter than it says.
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

    /// The sizes of every pair; `None` if the buffer ends before them.
    fn sizes(&self) -> Option<&[[u8; SIZES_SIZE]]> {
        let (sizes, _) = self.buffer.get(COUNT_SIZE.min(self.names_start)..self.names_start)?.as_chunks();
        Some(sizes)
    }

    /// Every pair in the host's order; a repeated header is there once for each of its lines.
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

/// The pairs of a [`Pairs`], borrowed.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    buffer: &'a [u8],
    sizes: slice::Iter<'a, [u8; SIZES_SIZE]>,
    /// Where the next name starts.
    start: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    /// Some ten instructions a pair: what [`Pairs::parse`] has checked is not checked again.
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

/// How long a name and its value are.
struct Sizes {
    name: u32,
    value: u32,
}

impl Sizes {
    fn read(&[n0, n1, n2, n3, v0, v1, v2, v3]: &[u8; SIZES_SIZE]) -> Self {
        Self { name: u32::from_le_bytes([n0, n1, n2, n3]), value: u32::from_le_bytes([v0, v1, v2, v3]) }
    }

    /// What the pair takes up.
    fn sum(&self) -> u64 {
        u64::from(self.name).wrapping_add(self.value.into()).wrapping_add(NULS)
    }
}

/// A number of 32 bits as one of this machine; one that is too large for it is beyond every buffer.
fn index(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

/// The buffer of these pairs. A count or a size beyond 32 bits is cut to what the format can say.
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
    fn reads_what_the_host_writes() {
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
    fn refuses_every_prefix() {
        for end in 1..TWO.len() {
            assert_eq!(parsed(&TWO[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn writes_what_the_host_reads() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"a", b"b"), (b"c", b"")];
        assert_eq!(encode_pairs(pairs.into_iter()), TWO);
        assert_eq!(encode_pairs([].into_iter()), b"\0\0\0\0");
    }
}
