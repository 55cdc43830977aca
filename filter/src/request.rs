//! The request as the decision sees it.

use std::cell::OnceCell;

use canary_routing::format::Property;
use canary_routing::host::split_port;
use canary_routing::timestamp::Timestamp;
use canary_routing::{Claim, RequestView};
use sdk_shims::host::{self, Pairs};
use sdk_shims::log;

use crate::claims::{self, Metadata};

/// The host's header map, and what the host knows beside it, asked when it is needed. A missing pseudo-header is empty.
pub(crate) struct HostRequest<'a> {
    pub(crate) lines: &'a Pairs,
    method: &'a [u8],
    scheme: &'a [u8],
    authority: &'a [u8],
    path: &'a [u8],
    metadata: OnceCell<Metadata>,
}

impl<'a> HostRequest<'a> {
    pub(crate) fn new(lines: &'a Pairs) -> Self {
        let mut request =
            Self { lines, method: b"", scheme: b"", authority: b"", path: b"", metadata: OnceCell::new() };
        for (name, value) in lines {
            match name {
                b":method" => request.method = value,
                b":scheme" => request.scheme = value,
                b":authority" => request.authority = value,
                b":path" => request.path = value,
                _ => {}
            }
        }
        request
    }
}

impl RequestView for HostRequest<'_> {
    fn method(&self) -> &[u8] {
        self.method
    }

    fn scheme(&self) -> &[u8] {
        self.scheme
    }

    fn authority(&self) -> &[u8] {
        self.authority
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.lines(name)
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let value = ask(match property {
            Property::Protocol => ["request", "protocol"],
            Property::RemoteAddress | Property::RemoteAddressWithoutPort | Property::RemotePort => {
                ["source", "address"]
            }
            Property::LocalAddress | Property::LocalAddressWithoutPort | Property::LocalPort => {
                ["destination", "address"]
            }
            Property::RequestedServerName => ["connection", "requested_server_name"],
            Property::PeerUriSan => ["connection", "uri_san_peer_certificate"],
            Property::PeerSubject => ["connection", "subject_peer_certificate"],
            Property::TlsVersion => ["connection", "tls_version"],
        })?;
        match property {
            Property::RemoteAddressWithoutPort | Property::LocalAddressWithoutPort => Some(without_port(&value).into()),
            Property::RemotePort | Property::LocalPort => split_port(&value).1.map(|port| port.to_string().into()),
            _ => Some(value),
        }
    }

    /// When Envoy began to read it: the same for the guard, which comes later.
    fn now(&self) -> Option<Timestamp> {
        let nanoseconds = u64::from_le_bytes(ask(["request", "time"])?.try_into().ok()?);
        Some(Timestamp::from_millis(nanoseconds / 1_000_000))
    }

    fn claim(&self, path: &[String]) -> Claim {
        self.metadata.get_or_init(|| Metadata::new(ask(claims::METADATA).unwrap_or_default())).claim(path)
    }
}

fn ask<const N: usize>(path: [&str; N]) -> Option<Vec<u8>> {
    host::property(&path).unwrap_or_else(|error| {
        log::error!("{error}: the request counts as one without {}", path.join("."));
        None
    })
}

/// The IP address of an address with a port; Envoy's formatter leaves out the brackets of IPv6.
fn without_port(address: &[u8]) -> &[u8] {
    let (ip, _) = split_port(address);
    ip.strip_prefix(b"[").and_then(|ip| ip.strip_suffix(b"]")).unwrap_or(ip)
}
