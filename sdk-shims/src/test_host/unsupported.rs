//! The imports that the SDK links against and no plugin here uses. A call returns Unimplemented, on which the SDK panics.

const UNIMPLEMENTED: u32 = 12;

macro_rules! unsupported {
    ($($name:ident($($argument:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) -> u32 {
                UNIMPLEMENTED
            }
        )*
    };
}

type In = *const u8;
type Out = *mut *mut u8;

unsupported! {
    proxy_set_buffer_bytes(u32, usize, usize, In, usize);
    proxy_register_shared_queue(In, usize, *mut u32);
    proxy_resolve_shared_queue(In, usize, In, usize, *mut u32);
    proxy_dequeue_shared_queue(u32, Out, *mut usize);
    proxy_enqueue_shared_queue(u32, In, usize);
    proxy_close_stream(u32);
    proxy_http_call(In, usize, In, usize, In, usize, In, usize, u32, *mut u32);
    proxy_grpc_call(In, usize, In, usize, In, usize, In, usize, In, usize, u32, *mut u32);
    proxy_grpc_stream(In, usize, In, usize, In, usize, In, usize, *mut u32);
    proxy_grpc_send(u32, In, usize, bool);
    proxy_grpc_cancel(u32);
    proxy_grpc_close(u32);
    proxy_get_status(*mut u32, Out, *mut usize);
    proxy_call_foreign_function(In, usize, In, usize, Out, *mut usize);
    proxy_done();
}
