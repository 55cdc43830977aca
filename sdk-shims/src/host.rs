//! What the host can be asked and told. Bytes in, bytes out; every status but Ok is a [`HostError`].
//!
//! Calls about headers act on the stream whose callback is running.
#![expect(unsafe_code, reason = "host calls are foreign functions")]

use std::collections::BTreeMap;

mod error;
mod ffi;
mod pairs;

pub use error::{Failure, HostError, Status};
pub use pairs::{MalformedPairs, Pairs, encode_pairs};

/// `proxy_log` levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Everything.
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// What an operator may want to know.
    Info = 2,
    /// Something is odd, requests are served.
    Warn = 3,
    /// Something is refused or failed.
    Error = 4,
    /// The VM is about to end.
    Critical = 5,
}

/// `proxy_header_map_type_t`: the request headers.
const REQUEST_HEADERS: u32 = 0;
/// `proxy_buffer_type_t`: the plugin configuration.
const PLUGIN_CONFIGURATION: u32 = 7;
/// `proxy_send_local_response`: no gRPC status of our own; the host maps the HTTP status for gRPC clients.
const NO_GRPC_STATUS: i32 = -1;
/// Where Envoy keeps the metadata of its bootstrap's `node` (read in the configure phase of 1.36.4, 1.38.2 and 1.40.0).
const NODE_METADATA: [&str; 3] = ["xds", "node", "metadata"];

/// Every line of the request's headers, pseudo-headers included, in one host call.
///
/// # Errors
/// If the host refuses (no request is being served) or answers with a malformed buffer.
pub fn request_headers() -> Result<Pairs, HostError> {
    let buffer = ffi::returned("proxy_get_header_map_pairs", |data, size| {
        // SAFETY: `data` and `size` are valid for writes during the call.
        unsafe { ffi::proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) }
    })?;
    Pairs::parse(buffer).map_err(|MalformedPairs| HostError::malformed("proxy_get_header_map_pairs"))
}

/// Makes `value` the only line of a request header. Envoy forgets the route it has chosen.
///
/// # Errors
/// If the host refuses.
pub fn replace_request_header(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status = unsafe {
        ffi::proxy_replace_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    error::check("proxy_replace_header_map_value", status)
}

/// Removes every line of a request header; an absent one is no error. Envoy forgets the route it has chosen, also when
/// the header was absent.
///
/// # Errors
/// If the host refuses.
pub fn remove_request_header(name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer is valid for reads of the length beside it during the call.
    let status = unsafe { ffi::proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    error::check("proxy_remove_header_map_value", status)
}

/// Answers the request here. `details` is what access logs show as `%RESPONSE_CODE_DETAILS%`. A gRPC client gets the
/// gRPC status that the host maps from `status`, with the body as its message.
///
/// # Errors
/// If the host refuses; the request then goes on as if nothing was asked.
pub fn send_local_response(
    status: u16,
    details: &str,
    headers: &[(&[u8], &[u8])],
    body: &[u8],
) -> Result<(), HostError> {
    let headers = encode_pairs(headers.iter().copied());
    // SAFETY: every pointer is valid for reads of the length beside it during the call.
    let status = unsafe {
        ffi::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    };
    error::check("proxy_send_local_response", status)
}

/// The plugin's configuration: the first `size` bytes, as announced by the configure callback. Empty where there is none.
///
/// # Errors
/// If the host refuses for another reason than having none.
pub fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    let buffer = ffi::returned("proxy_get_buffer_bytes", |data, returned| {
        // SAFETY: `data` and `returned` are valid for writes during the call.
        unsafe { ffi::proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, returned) }
    });
    Ok(error::optional(buffer)?.unwrap_or_default())
}

/// A property by its path; `None` where the host knows no such property.
///
/// # Errors
/// If the host refuses, among others with [`Status::SerializationFailure`] for a list or struct that contains a null.
pub fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    let path = path.join("\0");
    error::optional(ffi::returned("proxy_get_property", |data, size| {
        // SAFETY: the path is valid for reads of its length, `data` and `size` for writes, during the call.
        unsafe { ffi::proxy_get_property(path.as_ptr(), path.len(), data, size) }
    }))
}

/// `NAMESPACE` of Envoy's node metadata: the namespace of the workload that this proxy serves, as Istio sets it.
///
/// # Errors
/// If the host refuses, or the value is no UTF-8.
pub fn node_namespace() -> Result<Option<String>, HostError> {
    let [xds, node, metadata] = NODE_METADATA;
    property(&[xds, node, metadata, "NAMESPACE"])?.map(|value| text(&value)).transpose()
}

/// `LABELS` of Envoy's node metadata: the labels of the workload that this proxy serves, as Istio sets them.
///
/// # Errors
/// If the host refuses, or what it answers is no struct of strings.
pub fn node_labels() -> Result<Option<BTreeMap<String, String>>, HostError> {
    let [xds, node, metadata] = NODE_METADATA;
    let Some(buffer) = property(&[xds, node, metadata, "LABELS"])? else {
        return Ok(None);
    };
    let labels = Pairs::parse(buffer).map_err(|MalformedPairs| HostError::malformed("proxy_get_property"))?;
    labels.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_, _>>().map(Some)
}

/// The host's wall clock, in nanoseconds since the Unix epoch.
///
/// # Errors
/// If the host refuses.
pub(crate) fn current_time_nanoseconds() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the pointer is valid for a write during the call.
    let status = unsafe { ffi::proxy_get_current_time_nanoseconds(&raw mut time) };
    error::check("proxy_get_current_time_nanoseconds", status)?;
    Ok(time)
}

/// Writes one line to the proxy's log.
///
/// # Errors
/// If the host refuses.
pub fn log(level: LogLevel, message: &str) -> Result<(), HostError> {
    // SAFETY: the pointer is valid for reads of the length beside it during the call.
    let status = unsafe { ffi::proxy_log(level as u32, message.as_ptr(), message.len()) };
    error::check("proxy_log", status)
}

fn text(bytes: &[u8]) -> Result<String, HostError> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| HostError::malformed("proxy_get_property"))
}
