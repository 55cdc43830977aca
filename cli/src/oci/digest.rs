//! SHA-256, as registries and Istio write it.

use sha2::{Digest as _, Sha256};

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As an OCI digest, `sha256:…`.
pub(crate) fn of(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}
