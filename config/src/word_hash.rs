//! A hash of names that come from the configuration: eight bytes at a time, without a secret.

/// 2⁶⁴ by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a name; its upper bits depend on every byte.
#[must_use]
pub fn word_hash(name: &[u8]) -> u64 {
    let (words, rest) = name.as_chunks::<8>();
    let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
    let hash = words.iter().fold(length, |hash, word| mix(hash ^ u64::from_le_bytes(*word)));
    mix(hash ^ tail(rest))
}

/// Fewer than eight bytes as one word. Bytes may count twice; the length keeps such words distinct.
fn tail(rest: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const fn mix(hash: u64) -> u64 {
    let hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 32
}

/// [`word_hash`] for maps of the standard library: the keys come from the configuration, and need no secret.
#[derive(Debug, Clone, Copy, Default)]
pub struct WordHasher(u64);

/// A map that hashes its keys by words.
pub type WordMap<K, V> = std::collections::HashMap<K, V, std::hash::BuildHasherDefault<WordHasher>>;

impl std::hash::Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0 ^ word_hash(bytes));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::word_hash;

    #[test]
    fn names_that_differ_have_other_hashes() {
        let names: Vec<String> = (0..100_usize)
            .map(|length| "x".repeat(length))
            .chain((0..10_000).map(|n| format!("x-header-{n}")))
            .collect();
        let hashes: HashSet<u64> = names.iter().map(|name| word_hash(name.as_bytes())).collect();
        let upper: HashSet<u64> = hashes.iter().map(|hash| hash >> 40).collect();
        assert_eq!(hashes.len(), names.len());
        assert!(upper.len() > names.len() * 99 / 100, "{} of {} in the upper bits", upper.len(), names.len());
    }
}
