//! What access logs and traces can show of a request: one text, `version=v2 reason=sticky route=jason`, in the filter state
//! that Envoy shows as `%FILTER_STATE(wasm.canary:PLAIN)%`.

use std::cell::RefCell;

use canary_routing::{Destination, Reason, RouteTable};

use crate::host::Host;

/// The object's name.
const OBJECT: &str = "canary";
/// The names of its parts where they are written one by one: version, reason, route.
const PARTS: [&str; 3] = ["canary_version", "canary_reason", "canary_route"];

/// The memory in which a VM writes the text.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer(RefCell<Vec<u8>>);

/// How the version of each destination of a table begins the text, a blank first.
#[derive(Debug)]
pub(crate) struct VersionTexts(Box<[Box<[u8]>]>);

impl VersionTexts {
    pub(crate) fn new(table: &RouteTable) -> Self {
        let text = |version: &str| {
            let mut text = b" version=".to_vec();
            escape(version.as_bytes(), &mut text);
            text.into()
        };
        Self(table.destinations().iter().map(|name| name.version.as_deref().map(text).unwrap_or_default()).collect())
    }

    fn of(&self, destination: &Destination) -> &[u8] {
        self.0.get(destination.id.index()).map(AsRef::as_ref).unwrap_or_default()
    }
}

/// Shows which version a request takes, why, and by which route; a part that there is not is left out. Costs one host call,
/// and one for each part where they are written one by one.
pub(crate) fn write(
    host: &impl Host,
    buffer: &TextBuffer,
    (table, versions): (&RouteTable, &VersionTexts),
    (version, route): (Option<(&Destination, Reason)>, &str),
) {
    let settings = table.filter_state();
    let route = Some(route).filter(|name| !name.is_empty());
    if !settings.enabled || version.is_none() && route.is_none() {
        return;
    }
    let text = &mut *buffer.0.borrow_mut();
    text.clear();
    if let Some((destination, reason)) = version {
        text.extend_from_slice(versions.of(destination));
        text.extend_from_slice(b" reason=");
        text.extend_from_slice(reason.as_str().as_bytes());
    }
    if let Some(route) = route {
        text.extend_from_slice(b" route=");
        escape(route.as_bytes(), text);
    }
    // Without the blank before the first.
    set(host, OBJECT, text.get(1..).unwrap_or_default());
    if settings.separate {
        let version = version.map(|(version, reason)| (version.subset.as_deref(), reason.as_str())).unzip();
        for (name, value) in PARTS.into_iter().zip([version.0.flatten(), version.1, route]) {
            value.into_iter().for_each(|value| set(host, name, value.as_bytes()));
        }
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
