//! Istio's objects for a plugin.

/// The kinds that differ in the place of their fields alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WasmPlugin,
    TrafficExtension,
}
