//! Safe, byte-exact, non-panicking access to the proxy-wasm host.
//!
//! The SDK's own host calls panic on any status they do not list and take header names for UTF-8; in a proxy a panic is an
//! outage. So this crate, the only one that names host calls and the only one with `unsafe`, imports what is needed by
//! itself: [`host`] returns bytes or a [`host::HostError`], [`entropy`] and [`clock`] serve chance and time, [`logging`]
//! connects the `log` crate. The SDK supplies the exports, the dispatcher and the allocator.
//!
//! With the feature `test-host` the crate holds `test_host`, which emulates the whole host natively, so that
//! `cargo test` drives the very callbacks that Envoy calls.

pub mod clock;
pub mod entropy;
pub mod host;
pub mod logging;
#[cfg(all(feature = "test-host", not(target_arch = "wasm32")))]
pub mod test_host;

pub use log;
pub use proxy_wasm::{main, set_root_context, traits, types};
