//! Reads what a decision needs of a request beyond its headers.

mod chance;
mod claims;
mod protobuf;
mod request_context;

pub(crate) use chance::RequestChance;
pub(crate) use request_context::HostContext;
