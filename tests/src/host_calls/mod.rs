//! The host calls of a proxy-wasm module for one request: what the budget records of the filter, and what [`Module`] makes again.

mod module;

use serde::{Deserialize, Serialize};

pub use module::Module;

/// A function that the host calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Callback {
    /// `proxy_on_context_create`
    Create,
    /// `proxy_on_request_headers`
    RequestHeaders,
    /// `proxy_on_response_headers`
    ResponseHeaders,
    /// `proxy_on_log`
    Log,
    /// `proxy_on_done`
    Done,
    /// `proxy_on_delete`
    Delete,
}

/// A host call and the callback that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// The callback.
    pub during: Callback,
    /// The call.
    #[serde(flatten)]
    pub call: Call,
}

/// A function of the host and what it is called with; `map` is the ABI's number of a header map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
#[expect(missing_docs, reason = "names of the ABI")]
pub enum Call {
    GetHeaders {
        map: u32,
    },
    GetHeader {
        map: u32,
        name: String,
    },
    /// Replaces.
    SetHeader {
        map: u32,
        name: String,
        value: String,
    },
    AddHeader {
        map: u32,
        name: String,
        value: String,
    },
    RemoveHeader {
        map: u32,
        name: String,
    },
    /// The parts of the path are separated by NUL.
    GetProperty {
        path: String,
    },
    SetProperty {
        path: String,
        value: String,
    },
    ClearRouteCache,
    ReadClock,
    /// Adds to the counter that is the so many-th of the module's.
    Count {
        series: u32,
    },
    /// Adds to a histogram.
    Observe {
        series: u32,
    },
    /// Another one, which no [`Module`] makes.
    Other {
        function: String,
    },
}

impl Callback {
    /// As the module exports it.
    #[must_use]
    pub fn export(self) -> &'static str {
        match self {
            Self::Create => "proxy_on_context_create",
            Self::RequestHeaders => "proxy_on_request_headers",
            Self::ResponseHeaders => "proxy_on_response_headers",
            Self::Log => "proxy_on_log",
            Self::Done => "proxy_on_done",
            Self::Delete => "proxy_on_delete",
        }
    }
}

impl Call {
    /// What is counted.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::GetHeaders { .. } => "header map",
            Self::GetHeader { .. } => "get header",
            Self::SetHeader { .. } | Self::AddHeader { .. } => "set header",
            Self::RemoveHeader { .. } => "remove header",
            Self::GetProperty { .. } => "get_property",
            Self::SetProperty { .. } => "set_property",
            Self::ClearRouteCache => "clear route cache",
            Self::ReadClock => "clock",
            Self::Count { .. } => "increment metric",
            Self::Observe { .. } => "record metric",
            Self::Other { function } => function,
        }
    }
}
