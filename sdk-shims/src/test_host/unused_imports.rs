//! The imports that the SDK links and nothing here calls. They return the status `Unimplemented`.

const UNIMPLEMENTED: u32 = 12;

/// Defines imports by their names. Arguments are ignored.
macro_rules! unimplemented_imports {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> u32 {
                UNIMPLEMENTED
            }
        )*
    };
}

unimplemented_imports! {
    proxy_get_log_level proxy_set_buffer_bytes proxy_set_header_map_pairs proxy_get_header_map_value
    proxy_register_shared_queue proxy_resolve_shared_queue proxy_dequeue_shared_queue proxy_enqueue_shared_queue
    proxy_close_stream proxy_http_call proxy_grpc_call proxy_grpc_stream proxy_grpc_send proxy_grpc_cancel
    proxy_grpc_close proxy_get_status proxy_call_foreign_function proxy_done proxy_get_metric
}
