//! What access logs and traces can show of a request: one text, `version=v2 reason=sticky route=jason`, in the filter state
//! that Envoy shows as `%FILTER_STATE(wasm.canary:PLAIN)%`.

use std::cell::RefCell;

use canary_config::FilterState;
use canary_routing::Decision;

use crate::host::Host;

/// The object's name, and the names of its parts where they are written one by one.
const OBJECT: &str = "canary";
const PARTS: [(&str, &str); 3] =
    [("version", "canary_version"), ("reason", "canary_reason"), ("route", "canary_route")];

/// The memory in which a VM writes the text.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer(RefCell<Vec<u8>>);

/// Shows which version a request takes, why, and by which route; a part that there is not is left out. Costs one host call,
/// and one for each part where they are written one by one.
pub(crate) fn write(host: &impl Host, buffer: &TextBuffer, settings: FilterState, decision: &Decision<'_>) {
    if !settings.enabled {
        return;
    }
    let version = decision.version();
    let route = decision.route.map(|route| &*route.name).filter(|name| !name.is_empty());
    let values = [
        version.and_then(|(destination, _)| destination.subset.as_deref()),
        version.map(|(_, reason)| reason.as_str()),
        route,
    ];
    let parts = || PARTS.iter().zip(values).filter_map(|(names, value)| Some((names, value?)));
    let text = &mut *buffer.0.borrow_mut();
    text.clear();
    for ((key, _), value) in parts() {
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(key.as_bytes());
        text.push(b'=');
        escape(value.as_bytes(), text);
    }
    if !text.is_empty() {
        set(host, OBJECT, text);
    }
    if settings.separate {
        parts().for_each(|((_, name), value)| set(host, name, value.as_bytes()));
    }
}

/// Appends a value in which nothing looks like the end of one: blanks, percent signs and what is not printable ASCII become `%XX`.
fn escape(value: &[u8], text: &mut Vec<u8>) {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    if value.iter().all(is_plain) {
        text.extend_from_slice(value);
        return;
    }
    for byte in value {
        if is_plain(byte) {
            text.push(*byte);
        } else {
            text.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn set(host: &impl Host, name: &str, value: &[u8]) {
    if let Err(error) = host.set_property(name, value) {
        log::error!("{error}: access logs lack {name}");
    }
}
