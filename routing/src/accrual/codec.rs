//! The bytes by which workers share the state of a version. All numbers are little-endian.

use super::window::Window;
use super::{Accrual, Generation, Phase};
use canary_config::LONGEST_EJECTION;

/// The first byte. State of another format is ignored.
const VERSION: u8 = 1;
const SERVING: u8 = b's';
const EJECTION: u8 = b'o';
/// No version reaches this generation. A larger number is malformed, and no later generation could replace it.
const MAX_GENERATION: u32 = u32::MAX >> 1;

impl Accrual {
    /// The state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.generation.0, self.ejections, self.consecutive] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.last_result.to_le_bytes());
        match self.phase {
            Phase::Serving { since } => {
                bytes.push(SERVING);
                bytes.extend(since.to_le_bytes());
            }
            Phase::Ejection { from, until, successes } => {
                bytes.push(EJECTION);
                bytes.extend(from.to_le_bytes());
                bytes.extend(until.to_le_bytes());
                bytes.extend(successes.to_le_bytes());
            }
        }
        if self.window.length > 0 {
            bytes.extend(self.window.length.to_le_bytes());
            bytes.extend(self.window.newest.to_le_bytes());
            let counts = self.window.buckets.iter().flat_map(|(requests, failures)| [requests, failures]);
            counts.for_each(|count| bytes.extend(count.to_le_bytes()));
        }
        bytes
    }

    /// Decodes a state. `None` if the bytes are malformed, or describe a state that no version can have.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if byte(&mut rest)? != VERSION {
            return None;
        }
        let generation = Generation(u32(&mut rest).filter(|generation| *generation <= MAX_GENERATION)?);
        let (ejections, consecutive, last_result) = (u32(&mut rest)?, u32(&mut rest)?, u64(&mut rest)?);
        let phase = match byte(&mut rest)? {
            SERVING => Phase::Serving { since: u64(&mut rest)? },
            EJECTION => Phase::Ejection { from: u64(&mut rest)?, until: u64(&mut rest)?, successes: u32(&mut rest)? },
            _ => return None,
        };
        let window = if rest.is_empty() { Window::default() } else { window(&mut rest)? };
        let state = Self { generation, phase, ejections, consecutive, window, last_result };
        (rest.is_empty() && state.is_possible()).then_some(state)
    }

    /// An ejection lasts at most the longest ejection and its jitter.
    fn is_possible(&self) -> bool {
        match self.phase {
            Phase::Serving { .. } => true,
            Phase::Ejection { from, until, .. } => {
                let longest = super::nanoseconds(LONGEST_EJECTION);
                until.checked_sub(from).is_some_and(|length| length <= longest.saturating_mul(2))
            }
        }
    }
}

fn window(rest: &mut &[u8]) -> Option<Window> {
    let mut window =
        Window { length: u64(rest).filter(|length| *length > 0)?, newest: u64(rest)?, ..Window::default() };
    for bucket in &mut window.buckets {
        *bucket = (u32(rest)?, u32(rest)?);
    }
    Some(window)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

fn u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}

fn u64(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*bytes))
}
