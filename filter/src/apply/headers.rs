//! Writes single headers. If the host rejects a write, it is logged and the request goes on.

use crate::host::{HeadersOf, Host};

/// Makes `value` the only value of a header. False if the host rejects it.
pub(crate) fn set(host: &impl Host, of: HeadersOf, name: &str, value: &[u8]) -> bool {
    host.set_header(of, name, value).map_err(|error| log::error!("{error}: {name} is not set")).is_ok()
}

pub(crate) fn add(host: &impl Host, of: HeadersOf, name: &str, value: &[u8]) {
    if let Err(error) = host.add_header(of, name, value) {
        log::error!("{error}: a value of {name} is not added");
    }
}

pub(crate) fn remove(host: &impl Host, of: HeadersOf, name: &str) {
    if let Err(error) = host.remove_header(of, name) {
        log::error!("{error}: {name} is not removed");
    }
}
