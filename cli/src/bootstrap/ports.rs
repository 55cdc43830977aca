//! Where Envoy listens.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// Where Envoy listens; port 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Address and port of the listener.
    pub(crate) address: Ipv4Addr,
    pub(crate) listener: u16,
    /// Address and port of the admin interface, which asks nobody for a password.
    pub(crate) admin_address: Ipv4Addr,
    pub(crate) admin: u16,
}

pub(super) fn socket_address(address: Ipv4Addr, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}
