//! The filter in a proxy-wasm VM: the only folder that names the SDK or its host.

mod http;
mod root;
mod wasm_host;

use std::cell::RefCell;
use std::rc::Rc;

use crate::plugin::Plugin;
use crate::vm_state::VmState;

thread_local! {
    /// A VM is one thread.
    static VM: RefCell<Rc<VmState>> = RefCell::default();
}

/// Registers the filter with the VM: what the module's `_initialize` does. What the thread had before is forgotten.
pub(crate) fn register() {
    sdk_shims::logging::init();
    VM.take();
    proxy_wasm::set_root_context(|_| Box::new(root::Root(VM.with_borrow(Plugin::new))));
}

/// The module's entry point, which the host calls once for each VM.
mod initialize {
    proxy_wasm::main! {{ super::register(); }}
}
