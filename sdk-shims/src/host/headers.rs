//! Headers of requests and responses.

use super::error::{self, HostError};
use super::ffi;
use super::pairs::{MalformedPairs, Pairs};

/// `proxy_header_map_type_t`: whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum HeaderMap {
    /// The request's, until it goes on to the upstream. At each write Envoy forgets the route it has chosen.
    Request = 0,
    /// The response's, in the response phase.
    Response = 2,
}

/// Every line of the request's headers, pseudo-headers included, in one host call.
///
/// # Errors
/// If the host refuses (no request is being served) or answers with a malformed buffer.
pub fn request_headers() -> Result<Pairs, HostError> {
    let buffer = ffi::returned("proxy_get_header_map_pairs", |data, size| {
        // SAFETY: `data` and `size` are valid for writes during the call.
        unsafe { ffi::proxy_get_header_map_pairs(HeaderMap::Request as u32, data, size) }
    })?;
    Pairs::parse(buffer).map_err(|MalformedPairs| HostError::malformed("proxy_get_header_map_pairs"))
}

/// Makes `value` the only line of a header.
///
/// # Errors
/// If the host refuses.
pub fn replace_header(map: HeaderMap, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status = unsafe {
        ffi::proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    error::check("proxy_replace_header_map_value", status)
}

/// Appends a line to a header.
///
/// # Errors
/// If the host refuses.
pub fn add_header(map: HeaderMap, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status =
        unsafe { ffi::proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    error::check("proxy_add_header_map_value", status)
}

/// Removes every line of a header; an absent one is no error, and no reason for Envoy to keep the route of a request.
///
/// # Errors
/// If the host refuses.
pub fn remove_header(map: HeaderMap, name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer is valid for reads of the length beside it during the call.
    let status = unsafe { ffi::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    error::check("proxy_remove_header_map_value", status)
}
