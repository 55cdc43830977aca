//! Access to the proxy-wasm host.
