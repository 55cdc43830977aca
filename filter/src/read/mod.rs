//! What a decision reads of a request beside its headers.

mod chance;
mod claims;
mod protobuf;
mod request_context;

pub(crate) use chance::RequestChance;
pub(crate) use request_context::HostContext;
