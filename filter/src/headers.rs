//! Writes of single headers. One that the host refuses is logged, and the request goes on.

use sdk_shims::host::{self, HeaderMap};
use sdk_shims::log;

/// Makes `value` the only line of a header; false if the host refuses.
pub(crate) fn replace(map: HeaderMap, name: &str, value: &[u8]) -> bool {
    host::replace_header(map, name, value).map_err(|error| log::error!("{error}: {name} is not set")).is_ok()
}

pub(crate) fn add(map: HeaderMap, name: &str, value: &[u8]) {
    if let Err(error) = host::add_header(map, name, value) {
        log::error!("{error}: a line of {name} is not added");
    }
}

pub(crate) fn remove(map: HeaderMap, name: &str) {
    if let Err(error) = host::remove_header(map, name) {
        log::error!("{error}: {name} is not removed");
    }
}
