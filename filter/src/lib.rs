//! The canary-filter proxy-wasm HTTP filter: reads a request, asks [`canary_routing`] what is to happen, writes the
//! difference into the request's headers. It never forwards by itself and never fails a request for a reason of its own.
//!
//! A request passes through four steps: `read`, the decision, `apply`, `report`. `filter_stream` is their order; `tracked_request`
//! and `end_of_request` say what its answer tells of the version that gave it. They know their host by the trait in `host`, and what outlives a callback by `vm_state`; the `wasm`
//! folder alone names proxy-wasm.

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

/// Registers the filter with the VM: what the module's `_initialize` does.
pub fn register() {
    wasm::register();
}
