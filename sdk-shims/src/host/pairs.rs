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
        // No buffer has so many pairs that 64 bits could not hold what they announce.
        let text = sizes.fold(0_u64, |sum, sizes| sum.wrapping_add(sizes.sum()));
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

    /// The values of every pair of that name, compared byte for byte, in order. Envoy's header names are in lower case.
    pub fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let mut pairs = self.iter();
        std::iter::from_fn(move || pairs.next_line(name.as_bytes()))
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

impl<'a> Iter<'a> {
    /// The next value of a name. Of pairs whose name has another size nothing is looked at but the sizes.
    fn next_line(&mut self, wanted: &[u8]) -> Option<&'a [u8]> {
        while let Some((start, sizes)) = self.advance() {
            if index(sizes.name) == wanted.len() {
                let (name, value) = sizes.pair(self.buffer, start)?;
                if name == wanted {
                    return Some(value);
                }
            }
        }
        None
    }

    /// Where the next pair starts, and its sizes.
    fn advance(&mut self) -> Option<(usize, Sizes)> {
        let (start, sizes) = (self.start, Sizes::read(self.sizes.next()?));
        self.start = start.saturating_add(index(sizes.sum()));
        Some((start, sizes))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (start, sizes) = self.advance()?;
        sizes.pair(self.buffer, start)
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

    fn pair<'a>(&self, buffer: &'a [u8], start: usize) -> Option<(&'a [u8], &'a [u8])> {
        let (name, rest) = buffer.get(start..)?.split_at_checked(index(self.name))?;
        let (_nul, rest) = rest.split_first()?;
        Some((name, rest.get(..index(self.value))?))
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

    #[test]
    fn lines_are_those_of_exactly_that_name_in_order() {
        let pairs: [(&[u8], &[u8]); 4] = [(b"x-t", b"1"), (b"x-tt", b"2"), (b"x-t", b"3"), (b"X-T", b"4")];
        let pairs = Pairs::parse(encode_pairs(pairs.into_iter())).unwrap();
        assert_eq!(pairs.lines("x-t").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(pairs.lines("x").count(), 0);
    }
}
