//! What a plugin is to the host: a root context for each configuration, and a context for each stream.
//!
//! The callbacks are those of the proxy-wasm ABI that a module exports here, and no others: the host calls what is exported
//! for every stream, whether there is something to do or not, and each call enters the VM.

/// `proxy_action_t`: what becomes of a request or response after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// To the next filter.
    Continue = 0,
    /// It waits until it is resumed or answered.
    Pause = 1,
}

/// A plugin with its configuration; one VM may hold several.
pub trait RootContext: 'static {
    /// Its streams.
    type Http: HttpContext;

    /// Takes the configuration, of that many bytes; false refuses it.
    fn on_configure(&mut self, _size: usize) -> bool {
        true
    }

    /// Comes every so often, where a tick was asked for.
    fn on_tick(&mut self) {}

    /// A stream begins.
    fn create_http_context(&self, context_id: u32) -> Self::Http;

    /// The last callback.
    fn on_delete(&mut self) {}
}

/// A request and its response.
pub trait HttpContext: 'static {
    /// The request's headers have come, so many lines.
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    /// A part of the request's body has come.
    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    /// The request's trailers have come, so many lines.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        Action::Continue
    }

    /// The response's headers have come, so many lines.
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    /// The stream is complete and about to be forgotten.
    fn on_log(&mut self) {}
}
