//! Additions to the `proxy-wasm` SDK: host calls that never panic and copy no header, and a native test host.
//!
//! Types, traits, contexts and the dispatcher are the SDK's. Its host calls are not used. They panic on every status
//! that they do not list, treat header names as UTF-8, and copy each header of a map into two vectors. [`host`] returns
//! bytes or a [`host::HostError`]. [`entropy`] and [`clock`] provide random numbers and time. [`logging`] connects the
//! `log` crate. Unlike the SDK's logger it ignores a host that rejects a line.
//!
//! This is the only crate that names host calls, and the only one with `unsafe`. The feature `test-host` adds
//! `test_host`, which emulates the whole host natively. `cargo test` then runs the callbacks that Envoy calls.

pub mod clock;
pub mod entropy;
pub mod host;
pub mod logging;
#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
mod memory;
#[cfg(all(feature = "test-host", not(target_arch = "wasm32")))]
pub mod test_host;

pub use log;
