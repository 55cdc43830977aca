//! The context of a stream.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::wasm_host::WasmHost;
use crate::apply::NextStep;
use crate::plugin::Stream;

/// A request and its response.
pub(crate) struct Http(pub(crate) Stream);

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let step = match &mut self.0 {
            Stream::Filter(stream) => stream.on_request_headers(&WasmHost, end_of_stream),
            Stream::Guard(stream) => stream.on_request_headers(&WasmHost),
        };
        match step {
            NextStep::Continue => Action::Continue,
            NextStep::Pause => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if let Stream::Filter(stream) = &self.0 {
            stream.complete_if(end_of_stream);
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Stream::Filter(stream) = &self.0 {
            stream.complete_if(true);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Stream::Filter(stream) = &mut self.0 {
            stream.on_response_headers(&WasmHost);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Stream::Filter(stream) = &self.0 {
            stream.on_log(&WasmHost);
        }
    }
}
