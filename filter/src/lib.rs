//! The canary-filter proxy-wasm HTTP filter. It reads a request, asks [`canary_routing`] for a decision, and writes the
//! difference into the request's headers. It never forwards by itself. It never fails a request because of an error of
//! its own.
//!
//! Each request goes through four steps: `read`, the decision, `apply`, `report`. `filter_stream` runs them.
//! `tracked_request` and `end_of_request` judge the version that answered. All of them use the host by the trait in
//! `host`, and keep state between callbacks in `vm_state`. Only the `wasm` folder uses proxy-wasm.

mod apply;
mod delays;
mod end_of_request;
mod filter_stream;
mod filter_table;
mod health;
mod host;
#[cfg(test)]
mod native_host;
mod plugin;
mod read;
mod report;
mod ticker;
mod tracked_request;
mod upstream;
mod vm_state;
mod wasm;

/// Registers the filter with the VM. The module's `_initialize` calls it.
pub fn register() {
    wasm::register();
}
