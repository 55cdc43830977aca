//! Host calls. Arguments and results are bytes. Every status except Ok is a [`HostError`].
//!
//! Calls about headers and streams act on the current stream: the one whose callback runs, or which
//! [`set_effective_context`] has selected.
#![expect(unsafe_code, reason = "host calls are foreign functions")]

mod error;
mod ffi;
mod headers;
mod metric;
mod pairs;
mod shared;
mod stream;

pub use error::{Failure, HostError, Status};
pub use headers::{HeaderMap, add_header, remove_header, replace_header, request_headers};
pub use metric::{Metric, MetricKind};
pub use pairs::{MalformedPairs, Pairs, encode_pairs};
pub use shared::{Shared, set_shared_data, shared_data};
pub use stream::{LocalResponse, resume_request, send_local_response, set_effective_context};

/// `proxy_log` levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Trace messages.
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// For operators.
    Info = 2,
    /// Unusual, but requests are served.
    Warn = 3,
    /// Something was rejected or has failed.
    Error = 4,
    /// The VM is about to end.
    Critical = 5,
}

/// `proxy_buffer_type_t`: the plugin configuration.
const PLUGIN_CONFIGURATION: u32 = 7;
/// The path of the metadata of the bootstrap's `node` in Envoy (seen in the configure phase of 1.36.4, 1.38.2 and
/// 1.40.0).
const NODE_METADATA: [&str; 3] = ["xds", "node", "metadata"];

/// The plugin's configuration: the first `size` bytes, as the configure callback announces them. Empty if there is
/// none.
///
/// # Errors
/// If the host fails for another reason than a missing configuration.
pub fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    let buffer = ffi::returned("proxy_get_buffer_bytes", |data, returned| {
        // SAFETY: `data` and `returned` are valid for writes during the call.
        unsafe { ffi::proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, returned) }
    });
    Ok(error::optional(buffer)?.unwrap_or_default())
}

/// A property by its path. `None` if the host does not know it.
///
/// # Errors
/// If the host fails, for example with [`Status::SerializationFailure`] for a list or struct that contains a null.
pub fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    property_at(&path.join("\0"))
}

/// The same by a path with NUL between its elements. Needs no allocation for the path.
///
/// # Errors
/// As for [`property`].
pub fn property_at(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    error::optional(ffi::returned("proxy_get_property", |data, size| {
        // SAFETY: the path is valid for reads of its length, `data` and `size` for writes, during the call.
        unsafe { ffi::proxy_get_property(path.as_ptr(), path.len(), data, size) }
    }))
}

/// Sets a property of the stream. Every later filter of the chain can read it by the same name. In Envoy it is the
/// filter state object `wasm.NAME`.
///
/// # Errors
/// If the host call fails.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status = unsafe { ffi::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    error::check("proxy_set_property", status)
}

/// `NAMESPACE` of Envoy's node metadata: the namespace of the workload that this proxy serves, as Istio sets it.
///
/// # Errors
/// If the host fails, or the value is not UTF-8.
pub fn node_namespace() -> Result<Option<String>, HostError> {
    let [xds, node, metadata] = NODE_METADATA;
    property(&[xds, node, metadata, "NAMESPACE"])?.map(|value| text(&value)).transpose()
}

/// `LABELS` of Envoy's node metadata: the labels of the workload that this proxy serves, as Istio sets them.
///
/// # Errors
/// If the host fails, or the value is not a struct of strings.
pub fn node_labels() -> Result<Option<Vec<(String, String)>>, HostError> {
    let [xds, node, metadata] = NODE_METADATA;
    let Some(buffer) = property(&[xds, node, metadata, "LABELS"])? else {
        return Ok(None);
    };
    let labels = Pairs::parse(buffer).map_err(|MalformedPairs| HostError::malformed("proxy_get_property"))?;
    labels.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_, _>>().map(Some)
}

/// Sets the tick period of this context's root context, in milliseconds. 0 stops the tick.
///
/// # Errors
/// If the host call fails.
pub fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    let status = unsafe { ffi::proxy_set_tick_period_milliseconds(milliseconds) };
    error::check("proxy_set_tick_period_milliseconds", status)
}

/// The host's wall clock, in nanoseconds since the Unix epoch.
///
/// # Errors
/// If the host call fails.
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
/// If the host call fails.
pub fn log(level: LogLevel, message: &str) -> Result<(), HostError> {
    // SAFETY: the pointer is valid for reads of the length beside it during the call.
    let status = unsafe { ffi::proxy_log(level as u32, message.as_ptr(), message.len()) };
    error::check("proxy_log", status)
}

fn text(bytes: &[u8]) -> Result<String, HostError> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| HostError::malformed("proxy_get_property"))
}
