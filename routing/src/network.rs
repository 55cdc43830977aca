//! Addresses of clients.

use std::net::{IpAddr, SocketAddr};

use canary_config::format::Property;

use crate::context::RequestContext;

/// The client's address as the host reports it, with or without a port. `None` if it is not an IP address, such as a
/// Unix socket.
pub(crate) fn source_ip(context: &dyn RequestContext) -> Option<IpAddr> {
    source(context).map(|(address, _)| address)
}

/// The client's address if it is the address of the connection. Envoy gives an address from `X-Forwarded-For`, which
/// any client can forge, the port 0. No connection has that port.
pub(crate) fn peer_ip(context: &dyn RequestContext) -> Option<IpAddr> {
    source(context).filter(|(_, port)| *port != Some(0)).map(|(address, _)| address)
}

fn source(context: &dyn RequestContext) -> Option<(IpAddr, Option<u16>)> {
    let address = context.property(Property::RemoteAddress)?;
    let text = std::str::from_utf8(&address).ok()?;
    let with_port = text.parse().map(|address: SocketAddr| (address.ip(), Some(address.port())));
    let (address, port) = with_port.or_else(|_| text.parse().map(|address| (address, None))).ok()?;
    Some((address.to_canonical(), port))
}
