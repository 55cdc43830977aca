//! The stream as a whole: answered here, put in force from elsewhere, continued.

use super::error::{self, HostError};
use super::ffi;
use super::pairs::encode_pairs;

/// No gRPC status of our own: the host maps the HTTP status for gRPC clients.
const NO_GRPC_STATUS: i32 = -1;
/// `proxy_stream_type_t`: the request.
const HTTP_REQUEST: u32 = 0;

/// An answer by the proxy itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// What a gRPC client gets as its status; without one the host maps the HTTP status. Other clients never see it.
    pub grpc_status: Option<u8>,
    /// What access logs show as `%RESPONSE_CODE_DETAILS%`.
    pub details: &'a str,
    /// The body; a gRPC client gets it as its message.
    pub body: &'a [u8],
}

/// Answers the request here, with more headers than those that the host adds to every answer.
///
/// # Errors
/// If the host refuses; the request then goes on as if nothing was asked.
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

/// Puts a context in force: the calls that follow, until the running callback returns, act on its stream.
///
/// # Errors
/// If the host refuses: [`Status::BadArgument`](super::Status::BadArgument) for a stream that has ended.
pub fn set_effective_context(context_id: u32) -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    let status = unsafe { ffi::proxy_set_effective_context(context_id) };
    error::check("proxy_set_effective_context", status)
}

/// Lets a paused request go on when the running callback has returned. Its headers are out of reach at once.
///
/// # Errors
/// If the host refuses.
pub fn resume_request() -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    let status = unsafe { ffi::proxy_continue_stream(HTTP_REQUEST) };
    error::check("proxy_continue_stream", status)
}
