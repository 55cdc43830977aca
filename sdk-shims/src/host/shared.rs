//! Data that the VMs of one `vm_id` share: the workers of a proxy, and the plugins in them.

use super::error::{self, Failure, HostError, Status};
use super::ffi;

/// A shared value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The value.
    pub value: Vec<u8>,
    /// The number of the value's state, for [`set_shared_data`]. Never 0.
    pub cas: u32,
}

/// The value of a key. `None` if it was never set.
///
/// # Errors
/// If the host call fails.
pub fn shared_data(key: &str) -> Result<Option<Shared>, HostError> {
    let mut cas = 0;
    let value = ffi::returned("proxy_get_shared_data", |data, size| {
        // SAFETY: the key is valid for reads of its length, the other pointers for writes, during the call.
        unsafe { ffi::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) }
    });
    Ok(error::optional(value)?.map(|value| Shared { value, cas }))
}

/// Sets the value of a key if its state is still `cas`, or in any state if `cas` is 0. False if another VM was faster.
///
/// # Errors
/// If the host fails for another reason.
pub fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<bool, HostError> {
    // SAFETY: both pointers are valid for reads of the length beside them during the call.
    let status = unsafe { ffi::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    match error::check("proxy_set_shared_data", status) {
        Ok(()) => Ok(true),
        Err(HostError { failure: Failure::Status(Status::CasMismatch), .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
