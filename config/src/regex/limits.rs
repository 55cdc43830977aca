//! Limits of patterns and programs.

/// Istio's limit for the length of a pattern, in bytes.
pub const MAX_PATTERN: usize = 1024;

/// RE2's limit for counted repetition, and for the product of nested ones.
pub(super) const MAX_REPEAT: u32 = 1000;

/// The most instructions of one regex; Istio sets `re2.max_program_size.error_level` to it.
pub const MAX_PROGRAM_SIZE: u32 = 32_768;

/// The most instructions of all regexes of a document together. An instruction takes 22 to 50 bytes in
/// the engine, so all together take 3 to 6 MiB at most.
pub const MAX_PROGRAM_TOTAL: u32 = 131_072;
