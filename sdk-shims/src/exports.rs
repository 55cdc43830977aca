//! The functions of the proxy-wasm ABI 0.2.1 that the host calls: exactly those that a filter here has a use for. A module
//! that is linked with this crate exports them as they are.
//!
//! `proxy-wasm`, the SDK, is not used: its exports have the same names, cannot be left out without rewriting the linked
//! module, and enter the VM for every phase of every stream.
#![expect(unsafe_code, reason = "the host finds functions by their names")]

use std::mem::MaybeUninit;

use crate::context::Action;
use crate::dispatcher::call;

/// Says which version of the ABI the module speaks.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands out. It belongs to whoever gets the pointer: [`returned`](crate::host) takes it over.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast::<MaybeUninit<u8>>().cast()
}

/// A root context where `root` is 0, else a stream of that root context.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    call((), |plugins| plugins.create(id, root));
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    call(false, |plugins| plugins.configure(root, size))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_tick(root: u32) {
    call((), |plugins| plugins.tick(root));
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_headers(id: u32, count: usize, end_of_stream: bool) -> Action {
    call(Action::Continue, |plugins| plugins.request_headers(id, count, end_of_stream))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: bool) -> Action {
    call(Action::Continue, |plugins| plugins.request_body(id, size, end_of_stream))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_trailers(id: u32, count: usize) -> Action {
    call(Action::Continue, |plugins| plugins.request_trailers(id, count))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_response_headers(id: u32, count: usize, end_of_stream: bool) -> Action {
    call(Action::Continue, |plugins| plugins.response_headers(id, count, end_of_stream))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_log(id: u32) {
    call((), |plugins| plugins.log(id));
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_delete(id: u32) {
    call((), |plugins| plugins.delete(id));
}

/// The module's entry point, `_initialize`, which the host calls once for each VM: runs the block.
#[macro_export]
macro_rules! main {
    ($register:block) => {
        #[cfg(target_os = "wasi")]
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }

        #[doc = "What the host calls first."]
        #[unsafe(no_mangle)]
        pub extern "C" fn _initialize() {
            #[cfg(target_os = "wasi")]
            // SAFETY: the linker's function, called once and before everything else.
            unsafe {
                __wasm_call_ctors();
            }
            $register
        }
    };
}
