//! What a user is known by, the bucket that follows from it, and the cookie for those who are not known by anything.
//!
//! The bucket is published (README): XXH64, seed 0, over the salt, a zero byte and the key.

use std::fmt::Write as _;
use std::net::IpAddr;

use twox_hash::XxHash64;

use crate::config::{IssueCookie, SameSite, Sticky, StickyKey};
use crate::draws::Fraction;
use crate::network;
use crate::path;
use crate::request::{Claim, RequestView};

/// The place of a key on the ring: the same for every proxy, version and machine.
#[must_use]
pub fn bucket(salt: &str, key: &[u8]) -> Fraction {
    Fraction::from_bits(XxHash64::oneshot(0, &[salt.as_bytes(), b"\0", key].concat()))
}

impl Sticky {
    /// The first of the chain that the request has, with its value.
    pub(crate) fn key(&self, request: &impl RequestView) -> Option<(&StickyKey, Vec<u8>)> {
        self.keys.iter().find_map(|key| Some((key, key.value(request).filter(|value| !value.is_empty())?)))
    }
}

impl StickyKey {
    /// The bytes that are hashed.
    fn value(&self, request: &impl RequestView) -> Option<Vec<u8>> {
        match self {
            Self::Header(name) => request.header(name).next().map(|line| line.trim_ascii().to_vec()),
            Self::Cookie(name) => cookie(request, name.as_bytes()).map(<[u8]>::to_vec),
            Self::Query(name) => path::query_param(request.path(), name.as_bytes()).map(<[u8]>::to_vec),
            Self::Claim(path) => match request.claim(path) {
                Claim::Text(text) => Some(text),
                Claim::List(_) | Claim::None => None,
            },
            Self::SourceIp { prefix_length, prefix_length6 } => Some(match network::source_ip(request)? {
                ip @ IpAddr::V4(_) => octets(network::mask(ip, *prefix_length)),
                ip @ IpAddr::V6(_) => octets(network::mask(ip, *prefix_length6)),
            }),
        }
    }
}

/// The address in network order, 4 or 16 bytes.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The value of the first cookie of a name that is not empty, as sent.
fn cookie<'r>(request: &'r impl RequestView, name: &[u8]) -> Option<&'r [u8]> {
    let pairs = request.header("cookie").flat_map(|line| line.split(|byte| *byte == b';'));
    let mut halves = pairs.map(|pair| pair.splitn(2, |byte| *byte == b'='));
    halves.find_map(|mut halves| {
        let is_it = halves.next()?.trim_ascii() == name;
        halves.next().map(<[u8]>::trim_ascii).filter(|value| is_it && !value.is_empty())
    })
}

impl IssueCookie {
    /// The value that names a new user.
    pub(crate) fn value(identity: u128) -> String {
        format!("{identity:032x}")
    }

    /// The value of `Set-Cookie`.
    pub(crate) fn header(&self, value: &str, request: &impl RequestView) -> String {
        let mut header = format!("{}={value}; Path={}", self.name, self.path);
        if let Some(seconds) = self.max_age {
            let _ = write!(header, "; Max-Age={seconds}");
        }
        if let Some(domain) = &self.domain {
            let _ = write!(header, "; Domain={domain}");
        }
        let _ = write!(header, "; SameSite={}", self.same_site.as_str());
        let is_secure =
            self.secure.unwrap_or(self.same_site == SameSite::None || request.scheme().eq_ignore_ascii_case(b"https"));
        if is_secure {
            header.push_str("; Secure");
        }
        if self.http_only {
            header.push_str("; HttpOnly");
        }
        header
    }
}
