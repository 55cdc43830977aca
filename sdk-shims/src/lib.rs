//! Safe, byte-exact, non-panicking access to the proxy-wasm host.
//!
//! Host calls of the `proxy-wasm` SDK panic on any status that it does not list and take header names for UTF-8; in a proxy
//! a panic is an outage. Its exports enter the VM for phases in which a filter has nothing to do, and cannot be left out.
//! So this crate, the only one that names host calls and the only one with `unsafe`, does without it: [`host`] returns bytes
//! or a [`host::HostError`], [`entropy`] and [`clock`] serve chance and time, [`logging`] connects the `log` crate, and
//! what the host calls is handed on to the plugin's [`context`]s.
//!
//! With the feature `test-host` the crate holds `test_host`, which emulates the whole host natively, so that
//! `cargo test` drives the very callbacks that Envoy calls.

pub mod clock;
pub mod context;
mod dispatcher;
pub mod entropy;
mod exports;
pub mod host;
pub mod logging;
#[cfg(all(feature = "test-host", not(target_arch = "wasm32")))]
pub mod test_host;

pub use dispatcher::set_root_context;
pub use log;
