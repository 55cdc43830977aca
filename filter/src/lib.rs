//! The canary-filter proxy-wasm HTTP filter.
