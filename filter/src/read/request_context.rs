//! Reads properties of a request beyond its headers, when a rule needs them.

use std::cell::OnceCell;

use canary_config::format::Property;
use canary_config::host::split_port;
use canary_config::timestamp::Timestamp;
use canary_routing::{Claim, RequestContext};

use super::claims::{self, Metadata};
use crate::host::Host;

/// Reads properties of the current stream.
pub(crate) struct HostContext<'h, H> {
    host: &'h H,
    metadata: OnceCell<Metadata>,
}

impl<'h, H: Host> HostContext<'h, H> {
    pub(crate) const fn new(host: &'h H) -> Self {
        Self { host, metadata: OnceCell::new() }
    }

    fn ask(&self, path: &str) -> Option<Vec<u8>> {
        self.host.property(path).unwrap_or_else(|error| {
            log::error!("{error}: the request counts as one without {}", path.replace('\0', "."));
            None
        })
    }
}

impl<H: Host> RequestContext for HostContext<'_, H> {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let value = self.ask(match property {
            Property::Protocol => "request\0protocol",
            Property::RemoteAddress | Property::RemoteAddressWithoutPort | Property::RemotePort => "source\0address",
            Property::LocalAddress | Property::LocalAddressWithoutPort | Property::LocalPort => "destination\0address",
            Property::RequestedServerName => "connection\0requested_server_name",
            Property::PeerUriSan => "connection\0uri_san_peer_certificate",
            Property::PeerSubject => "connection\0subject_peer_certificate",
            Property::TlsVersion => "connection\0tls_version",
        })?;
        match property {
            Property::RemoteAddressWithoutPort | Property::LocalAddressWithoutPort => Some(without_port(&value).into()),
            Property::RemotePort | Property::LocalPort => split_port(&value).1.map(|port| port.to_string().into()),
            _ => Some(value),
        }
    }

    /// When Envoy began to read the request.
    fn now(&self) -> Option<Timestamp> {
        let nanoseconds = u64::from_le_bytes(self.ask("request\0time")?.try_into().ok()?);
        Some(Timestamp::from_millis(nanoseconds / 1_000_000))
    }

    fn claim(&self, path: &[String]) -> Claim {
        self.metadata.get_or_init(|| Metadata::new(self.ask(claims::METADATA).unwrap_or_default())).claim(path)
    }
}

/// The IP address of an address with a port, without the brackets of IPv6, as Envoy's formatter writes it.
fn without_port(address: &[u8]) -> &[u8] {
    let (ip, _) = split_port(address);
    ip.strip_prefix(b"[").and_then(|ip| ip.strip_suffix(b"]")).unwrap_or(ip)
}
