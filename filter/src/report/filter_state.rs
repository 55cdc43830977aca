//! Writes filter state for access logs and traces: the text `version=v2 reason=sticky route=jason`, which Envoy shows
//! as `%FILTER_STATE(wasm.canary:PLAIN)%`.

use std::cell::RefCell;

use canary_routing::{Destination, Reason, RouteTable};

use crate::host::Host;

/// The name of the filter state object.
const OBJECT: &str = "canary";
/// The objects with one part each: version, reason, route.
const PARTS: [&str; 3] = ["canary_version", "canary_reason", "canary_route"];

/// The buffer in which a VM writes the text.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer(RefCell<Vec<u8>>);

/// The start of the text for each destination of a table, with a leading blank.
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

/// Writes the version, the reason and the route of a request. Absent parts are left out. Costs one host call, and one
/// more for each part that has its own object.
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
    // Without the leading blank.
    set(host, OBJECT, text.get(1..).unwrap_or_default());
    if settings.separate {
        let version = version.map(|(version, reason)| (version.subset.as_deref(), reason.as_str())).unzip();
        for (name, value) in PARTS.into_iter().zip([version.0.flatten(), version.1, route]) {
            value.into_iter().for_each(|value| set(host, name, value.as_bytes()));
        }
    }
}

/// Appends a value. Blanks, percent signs and bytes other than printable ASCII are written as `%XX`, so that the value
/// has a clear end.
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
        log::error!("{error}: {name} is missing in access logs");
    }
}
