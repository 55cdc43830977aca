//! What the `proxy-wasm` SDK lacks: access to the host that copies no header and never panics, and a native test host.
//!
//! Types, traits, contexts and the dispatcher are the SDK's. Its host calls are not used: they panic on every status that
//! they do not list, take header names for UTF-8, and copy a header map into two vectors for each header.
//! [`host`] returns bytes or a [`host::HostError`]. [`entropy`] and [`clock`] serve chance and time. [`logging`] connects the
//! `log` crate; unlike the SDK's logger it survives a host that refuses a line.
//!
//! This is the only crate that names host calls, and the only one with `unsafe`. With the feature `test-host` it has
//! `test_host`, which emulates the whole host natively, so that `cargo test` drives the callbacks that Envoy calls.

pub mod clock;
pub mod entropy;
pub mod host;
pub mod logging;
#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
mod memory;
#[cfg(all(feature = "test-host", not(target_arch = "wasm32")))]
pub mod test_host;

pub use log;
