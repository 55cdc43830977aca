//! `canaryctl push` and `canaryctl pull`: the filter as an image in an OCI registry, as Istio's agent fetches it.

mod accepted;
mod archive;
mod credentials;
mod digest;
mod excerpt;
mod failure;
mod folder;
mod helper;
mod layout;
pub mod pull;
pub mod push;
mod reference;
mod registry;
mod token;

/// How every WebAssembly module starts.
const WASM_MAGIC: &[u8] = b"\0asm";
/// The name by which Istio's agent looks for the module in a layer.
const PLUGIN: &str = "plugin.wasm";
/// The largest module that Istio's agent takes unless it is told otherwise (`ISTIO_WASM_MAX_BINARY_SIZE_BYTES`), in bytes.
const MAX_MODULE: u64 = 256 * 1024 * 1024;
/// The layer that is the module itself, in an artifact.
const MODULE_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
