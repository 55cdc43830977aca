//! Envoy's side of the callbacks: calls the SDK's exports, each with its context as the current one.

use proxy_wasm::types::Action;

use super::state::with_host;

/// The functions that the SDK exports. They have no Rust names in the SDK.
mod exports {
    use proxy_wasm::types::Action;

    unsafe extern "C" {
        pub(super) safe fn proxy_on_context_create(context: u32, root: u32);
        pub(super) safe fn proxy_on_configure(context: u32, size: usize) -> bool;
        pub(super) safe fn proxy_on_tick(context: u32);
        pub(super) safe fn proxy_on_request_headers(context: u32, count: usize, end_of_stream: bool) -> Action;
        pub(super) safe fn proxy_on_request_body(context: u32, size: usize, end_of_stream: bool) -> Action;
        pub(super) safe fn proxy_on_request_trailers(context: u32, count: usize) -> Action;
        pub(super) safe fn proxy_on_response_headers(context: u32, count: usize, end_of_stream: bool) -> Action;
        pub(super) safe fn proxy_on_done(context: u32) -> bool;
        pub(super) safe fn proxy_on_log(context: u32);
        pub(super) safe fn proxy_on_delete(context: u32);
        pub(super) safe fn proxy_on_memory_allocate(size: usize) -> *mut u8;
    }
}

fn in_context<T>(context: u32, callback: impl FnOnce() -> T) -> T {
    let before = with_host(|host| std::mem::replace(&mut host.current, context));
    let result = callback();
    with_host(|host| host.current = before);
    result
}

pub(super) fn context_create(context: u32, root: u32) {
    in_context(context, || exports::proxy_on_context_create(context, root));
}

pub(super) fn configure(context: u32, size: usize) -> bool {
    in_context(context, || exports::proxy_on_configure(context, size))
}

pub(super) fn request_headers(context: u32, count: usize, end_of_stream: bool) -> Action {
    in_context(context, || exports::proxy_on_request_headers(context, count, end_of_stream))
}

pub(super) fn request_body(context: u32, size: usize, end_of_stream: bool) -> Action {
    in_context(context, || exports::proxy_on_request_body(context, size, end_of_stream))
}

pub(super) fn request_trailers(context: u32, count: usize) -> Action {
    in_context(context, || exports::proxy_on_request_trailers(context, count))
}

pub(super) fn response_headers(context: u32, count: usize, end_of_stream: bool) -> Action {
    in_context(context, || exports::proxy_on_response_headers(context, count, end_of_stream))
}

pub(super) fn tick(context: u32) {
    in_context(context, || exports::proxy_on_tick(context));
}

pub(super) fn log(context: u32) {
    in_context(context, || exports::proxy_on_log(context));
}

pub(super) fn done(context: u32) {
    in_context(context, || exports::proxy_on_done(context));
}

/// Allocates memory of the VM for the host's results.
pub(super) fn allocate(size: usize) -> *mut u8 {
    exports::proxy_on_memory_allocate(size)
}

pub(super) fn delete(context: u32) {
    in_context(context, || exports::proxy_on_delete(context));
}
