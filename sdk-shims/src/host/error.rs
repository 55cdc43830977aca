//! Errors of host calls.

use std::fmt;

/// A host call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError {
    /// The import that was called, e.g. `proxy_get_property`.
    pub call: &'static str,
    /// How it failed.
    pub failure: Failure,
}

/// How a host call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The host returned a status other than Ok.
    Status(Status),
    /// The host returned Ok and bytes with an unexpected format.
    Malformed,
}

/// `proxy_result_t` of the proxy-wasm ABI, except Ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 1
    NotFound,
    /// 2: Envoy also returns it for a header map that does not exist in this phase.
    BadArgument,
    /// 3
    SerializationFailure,
    /// 4
    ParseFailure,
    /// 7
    Empty,
    /// 8
    CasMismatch,
    /// 10
    InternalFailure,
    /// 12
    Unimplemented,
    /// A status that the ABI does not list.
    Other(u32),
}

impl Status {
    /// The status of a code; `None` for 0, which is Ok.
    const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::NotFound,
            2 => Self::BadArgument,
            3 => Self::SerializationFailure,
            4 => Self::ParseFailure,
            7 => Self::Empty,
            8 => Self::CasMismatch,
            10 => Self::InternalFailure,
            12 => Self::Unimplemented,
            other => Self::Other(other),
        })
    }
}

impl HostError {
    pub(super) const fn malformed(call: &'static str) -> Self {
        Self { call, failure: Failure::Malformed }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            Failure::Status(Status::Other(code)) => {
                write!(f, "{}: the host returned the unknown status {code}", self.call)
            }
            Failure::Status(status) => write!(f, "{}: the host returned {status:?}", self.call),
            Failure::Malformed => write!(f, "{}: the host returned malformed data", self.call),
        }
    }
}

impl std::error::Error for HostError {}

pub(super) const fn check(call: &'static str, code: u32) -> Result<(), HostError> {
    match Status::from_code(code) {
        None => Ok(()),
        Some(status) => Err(HostError { call, failure: Failure::Status(status) }),
    }
}

/// Converts the status for a missing value into `None`.
pub(super) fn optional<T>(result: Result<T, HostError>) -> Result<Option<T>, HostError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(HostError { failure: Failure::Status(Status::NotFound), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
