//! The canary-filter proxy-wasm HTTP filter: reads a request, asks [`canary_routing`] what is to happen, writes the
//! difference into the request's headers. It never forwards by itself and never fails a request for a reason of its own.

mod accruals;
mod apply;
mod candidates;
mod claims;
mod delays;
mod ejections;
mod explanation;
mod fallbacks;
mod filter_state;
mod flight;
mod guard;
mod handover;
mod headers;
mod http;
mod knowledge;
mod metrics;
mod observe;
mod permissions;
mod protobuf;
mod request;
mod response;
mod root;
mod sharing;
mod ticker;
mod told;

/// Registers the filter with the VM: what the module's `_initialize` does.
pub fn register() {
    sdk_shims::logging::init();
    metrics::init();
    told::init();
    flight::init();
    guard::init();
    handover::init();
    sharing::init();
    sdk_shims::set_root_context(|_| root::Root::default());
}

/// The module's entry point, which the host calls once for each VM.
mod initialize {
    sdk_shims::main! {{ super::register(); }}
}
