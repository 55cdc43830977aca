//! Local replies, the current stream, and paused requests.

use super::error::{self, HostError};
use super::ffi;
use super::pairs::encode_pairs;

/// No gRPC status. The host maps the HTTP status for gRPC clients.
const NO_GRPC_STATUS: i32 = -1;
/// `proxy_stream_type_t`: the request.
const HTTP_REQUEST: u32 = 0;

/// A local reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// The gRPC status, which only gRPC clients get. Without one the host maps the HTTP status.
    pub grpc_status: Option<u8>,
    /// The details for `%RESPONSE_CODE_DETAILS%` in access logs.
    pub details: &'a str,
    /// The body. A gRPC client gets it as its message.
    pub body: &'a [u8],
}

/// Sends a local reply, with headers in addition to those that the host adds to every reply.
///
/// # Errors
/// If the host fails. The request then goes on.
pub fn send_local_response<'a>(
    response: LocalResponse<'_>,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<(), HostError> {
    let LocalResponse { status, grpc_status, details, body } = response;
    let headers = encode_pairs(headers);
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
            grpc_status.map_or(NO_GRPC_STATUS, i32::from),
        )
    };
    error::check("proxy_send_local_response", status)
}

/// Selects a context. The next calls act on its stream, until the running callback returns.
///
/// # Errors
/// If the host fails, with [`Status::BadArgument`](super::Status::BadArgument) for a stream that has ended.
pub fn set_effective_context(context_id: u32) -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    let status = unsafe { ffi::proxy_set_effective_context(context_id) };
    error::check("proxy_set_effective_context", status)
}

/// Resumes a paused request after the running callback returns. Its headers cannot be read or written from now on.
///
/// # Errors
/// If the host call fails.
pub fn resume_request() -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    let status = unsafe { ffi::proxy_continue_stream(HTTP_REQUEST) };
    error::check("proxy_continue_stream", status)
}
