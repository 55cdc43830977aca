//! Runs the filter in a proxy-wasm VM. No other folder uses the SDK.

mod http;
mod root;
mod wasm_host;

use std::cell::RefCell;
use std::rc::Rc;

use crate::plugin::Plugin;
use crate::vm_state::VmState;

thread_local! {
    /// A VM has one thread.
    static VM: RefCell<Rc<VmState>> = RefCell::default();
}

/// Registers the filter with the VM. The module's `_initialize` calls it. Any earlier state of the thread is dropped.
pub(crate) fn register() {
    sdk_shims::logging::init();
    VM.take();
    proxy_wasm::set_root_context(|_| Box::new(root::Root(VM.with_borrow(Plugin::new))));
}

/// The module's entry point. The host calls it once for each VM.
mod initialize {
    proxy_wasm::main! {{ super::register(); }}
}
