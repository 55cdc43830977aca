//! Limits of patterns and programs.

/// The most bytes of a pattern, as in Istio.
pub const MAX_PATTERN: usize = 1024;

/// The highest count of a repetition, and the highest product of nested counts, as in RE2.
pub(super) const MAX_REPEAT: u32 = 1000;

/// The most instructions of one regex. Istio sets `re2.max_program_size.error_level` to the same number.
pub const MAX_PROGRAM_SIZE: u32 = 32_768;

/// The most instructions of all regexes of a configuration. An instruction needs 22 to 50 bytes in the engine, so all
/// regexes need at most 3 to 6 MiB.
pub const MAX_PROGRAM_TOTAL: u32 = 131_072;
