//! The root context: a plugin.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use sdk_shims::host;

use super::http::Http;
use super::wasm_host::WasmHost;
use crate::plugin::Plugin;

/// A plugin of this VM.
pub(crate) struct Root(pub(crate) Plugin);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match host::plugin_configuration(size) {
            Ok(document) => self.0.configure(&WasmHost, &document),
            Err(error) => {
                log::error!("configuration rejected: {error}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.0.on_tick(&WasmHost);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http(self.0.stream(id))))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.0.end(&WasmHost);
    }
}
