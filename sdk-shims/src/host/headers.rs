//! Headers of requests and responses.

use super::error::{self, HostError};
use super::ffi;
use super::pairs::{MalformedPairs, Pairs};

/// `proxy_header_map_type_t`: the request's or the response's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum HeaderMap {
    /// The request's headers, until it goes to the upstream. Each write clears Envoy's route cache.
    Request = 0,
    /// The response's headers, in the response phase.
    Response = 2,
}

/// Every value of the request's headers, with the pseudo-headers, in one host call.
///
/// # Errors
/// If the host call fails (no request is being served) or answers with a malformed buffer.
pub fn request_headers() -> Result<Pairs, HostError> {
    let buffer = ffi::returned("proxy_get_header_map_pairs", |data, size| {
        // SAFETY: `data` and `size` are valid for writes during the call.
        unsafe { ffi::proxy_get_header_map_pairs(HeaderMap::Request as u32, data, size) }
    })?;
    Pairs::parse(buffer).map_err(|MalformedPairs| HostError::malformed("proxy_get_header_map_pairs"))
}

/// Makes `value` the only value of a header.
///
/// # Errors
/// If the host call fails.
pub fn replace_header(map: HeaderMap, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status = unsafe {
        ffi::proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    error::check("proxy_replace_header_map_value", status)
}

/// Appends a value to a header.
///
/// # Errors
/// If the host call fails.
pub fn add_header(map: HeaderMap, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status =
        unsafe { ffi::proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    error::check("proxy_add_header_map_value", status)
}

/// Removes every value of a header. An absent header is not an error, but clears Envoy's route cache, too.
///
/// # Errors
/// If the host call fails.
pub fn remove_header(map: HeaderMap, name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer is valid for reads of the length beside it during the call.
    let status = unsafe { ffi::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    error::check("proxy_remove_header_map_value", status)
}
