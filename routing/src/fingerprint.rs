//! Identifies a configuration by a number.

/// The offset basis of the 64-bit FNV-1a hash.
pub(crate) const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Adds one byte to a 64-bit FNV-1a hash.
pub(crate) const fn fnv1a(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}

/// The fingerprint of a configuration: the upper 52 bits of its 64-bit FNV-1a hash, so that a 64-bit float holds it
/// exactly.
#[must_use]
pub fn fingerprint(document: &[u8]) -> u64 {
    document.iter().fold(BASIS, |hash, byte| fnv1a(hash, *byte)) >> 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_published_number() {
        for (document, hash) in
            [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fingerprint(document.as_bytes()), hash >> 12, "{document:?}");
        }
    }
}
