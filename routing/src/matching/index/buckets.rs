//! Routes by the hashes of their demands.

use super::demand::DemandKind;
use crate::fingerprint::{BASIS, fnv1a};

/// A hash that grows byte by byte (FNV-1a, 64 bits). One pass over a value gives the hashes of all its prefixes. The
/// case of ASCII letters is ignored, because rules may ignore the case of paths; the conditions of a route decide
/// finally.
///
/// It needs no secret: the index holds texts of the configuration, and a client can add nothing to a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(BASIS)
    }
}

impl Hash {
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| fnv1a(hash, byte.to_ascii_lowercase())))
    }

    /// The key of a demand on the field with this number. The multiplication spreads every bit of the hash to the upper
    /// bits.
    pub(super) fn key(self, field: u32, kind: DemandKind) -> u64 {
        let kind = kind as u64;
        let mixed = (self.0 ^ (u64::from(field) << 2 | kind)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

/// Routes by keys. A bucket may also return a route of another key, which costs one needless try.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The shift from a key to its bucket.
    shift: u32,
    /// The start of each bucket in the entries, and the end of the last one.
    bounds: Box<[u32]>,
    /// Sorted by bucket, then by the order of the routes.
    entries: Box<[Entry]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The lower half of the key.
    fingerprint: u32,
    route: u32,
}

impl Buckets {
    /// Takes pairs of key and route, in the order of the routes.
    pub(super) fn new(keyed: &[(u64, u32)]) -> Self {
        let count = keyed.len().next_power_of_two();
        let shift = 64_u32.saturating_sub(count.trailing_zeros());
        let bucket = |key: u64| index(key.checked_shr(shift).unwrap_or(0));
        let mut bounds = vec![0_u32; count.saturating_add(2)];
        // Each bound is stored one place further. Filling the buckets then moves it to its final value.
        for (key, _) in keyed {
            bounds.get_mut(bucket(*key).saturating_add(2)).into_iter().for_each(|size| *size = size.saturating_add(1));
        }
        bounds.iter_mut().fold(0_u32, |sum, bound| {
            *bound = bound.saturating_add(sum);
            *bound
        });
        let mut entries = vec![Entry::default(); keyed.len()];
        for (key, route) in keyed {
            let Some(next) = bounds.get_mut(bucket(*key).saturating_add(1)) else { continue };
            let entry = Entry { fingerprint: *key as u32, route: *route };
            entries.get_mut(index(u64::from(*next))).into_iter().for_each(|free| *free = entry);
            *next = next.saturating_add(1);
        }
        bounds.pop();
        Self { shift, bounds: bounds.into(), entries: entries.into() }
    }

    /// The routes of a key before `end`, in order.
    pub(super) fn find(&self, key: u64, end: u32) -> impl Iterator<Item = u32> {
        let bucket = index(key.checked_shr(self.shift).unwrap_or(0));
        let bound = |bucket: usize| self.bounds.get(bucket).map(|bound| index(u64::from(*bound)));
        let range = bound(bucket).zip(bound(bucket.saturating_add(1)));
        let entries = range.and_then(|(start, end)| self.entries.get(start..end)).unwrap_or_default();
        let before = entries.iter().take_while(move |entry| entry.route < end);
        before.filter(move |entry| entry.fingerprint == key as u32).map(|entry| entry.route)
    }
}

/// Converts a position. It counts entries in memory, so it always fits.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Buckets, DemandKind, Hash};

    fn key(text: &str) -> u64 {
        Hash::default().with(text.as_bytes()).key(0, DemandKind::Whole)
    }

    #[test]
    fn finds_the_routes_of_a_key_in_order() {
        for count in [0_u32, 1, 2, 3, 8, 9, 1000] {
            let keyed: Vec<_> = (0..count).map(|route| (key(&format!("user-{}", route % 300)), route)).collect();
            let buckets = Buckets::new(&keyed);
            for wanted in 0..count.min(300) {
                let all: Vec<_> = (wanted..count).step_by(300).collect();
                let found = |end| buckets.find(key(&format!("user-{wanted}")), end).collect::<Vec<_>>();
                assert_eq!(found(u32::MAX), all, "user-{wanted} of {count}");
                let before: Vec<_> = all.into_iter().filter(|route| *route < 400).collect();
                assert_eq!(found(400), before, "user-{wanted} of {count}, before 400");
            }
            assert_eq!(buckets.find(key("nobody"), u32::MAX).next(), None, "nobody of {count}");
        }
    }

    #[test]
    fn hashes_beginnings_in_one_pass() {
        let whole = Hash::default().with(b"/Api/v1");
        let steps = Hash::default().with(b"/api").with(b"").with(b"/v1");
        assert_eq!(whole.key(3, DemandKind::Start), steps.key(3, DemandKind::Start), "pieces, and the case of letters");
        assert_ne!(whole.key(3, DemandKind::Start), whole.key(3, DemandKind::Whole), "kinds");
        assert_ne!(whole.key(3, DemandKind::Start), whole.key(4, DemandKind::Start), "fields");
    }
}
