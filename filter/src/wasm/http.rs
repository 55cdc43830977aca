//! The context of a stream.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::wasm_host::WasmHost;
use crate::apply::NextStep;
use crate::filter_stream::FilterStream;

/// A request and its response.
pub(crate) struct Http(pub(crate) FilterStream);

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match self.0.on_request_headers(&WasmHost, end_of_stream) {
            NextStep::Continue => Action::Continue,
            NextStep::Pause => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        self.0.complete_if(end_of_stream);
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.0.complete_if(true);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.0.on_response_headers(&WasmHost);
        Action::Continue
    }

    fn on_log(&mut self) {
        self.0.on_log(&WasmHost);
    }
}
