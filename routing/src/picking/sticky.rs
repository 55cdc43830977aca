//! Sticky users: their keys, the bucket of a key, and the cookie of a new user.
//!
//! The bucket is a published format (`docs/reference/sticky.md`): XXH64 with seed 0 over the salt, a zero byte and the
//! key.

use std::borrow::Cow;
use std::hash::Hasher;
use std::net::IpAddr;

use canary_config::cidr::mask;
use twox_hash::XxHash64;

use crate::context::Claim;
use crate::draws::Fraction;
use crate::head::RequestHead;
use crate::matching::{Field, RequestView};
use crate::names::Slot;
use crate::network;

/// The bucket of a key. It is the same in every proxy, release and machine.
#[must_use]
pub fn bucket(salt: &str, key: &[u8]) -> Fraction {
    let mut hash = XxHash64::with_seed(0);
    hash.write(salt.as_bytes());
    hash.write(b"\0");
    hash.write(key);
    Fraction::from_bits(hash.finish())
}

/// How a user is recognized, so that the user keeps a version.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// The places of a user's key. The first one that the request has counts.
    pub(crate) keys: Box<[StickyKey]>,
    pub(crate) salt: Box<str>,
    /// The cookie for requests without a key. `None` picks by the draw.
    pub(crate) new_user: Option<NewUser>,
}

/// A place of a user's key.
#[derive(Debug)]
pub(crate) struct StickyKey {
    pub(crate) source: KeySource,
    /// The kind of the place and its name, such as `header x-user-id`. For display.
    pub(crate) description: Box<str>,
}

#[derive(Debug)]
pub(crate) enum KeySource {
    /// The first value of a field other than a claim, without blanks around it.
    Trimmed(Field),
    /// The first value of a field other than a claim, as it is.
    Whole(Field),
    /// A string claim by its number.
    Claim(u32),
    /// The first cookie with this name.
    Cookie { header: Slot, name: Box<[u8]> },
    /// The network of the client's address: the prefix lengths for IPv4 and for IPv6.
    SourceIp { length: u8, length6: u8 },
}

/// The cookie of a new user.
#[derive(Debug)]
pub(crate) struct NewUser {
    /// The index of the key that reads the cookie.
    pub(crate) key: usize,
    /// The text before the value: `NAME=`.
    pub(crate) before_value: Box<str>,
    /// The attributes that are equal for every request.
    pub(crate) attributes: Box<str>,
    /// Whether the cookie is `Secure`. `None` means that it is if the request came over HTTPS.
    pub(crate) secure: Option<bool>,
    /// Whether the cookie is `HttpOnly`.
    pub(crate) http_only: bool,
}

impl Sticky {
    /// The first key that the request has, and its bucket.
    pub(crate) fn user(&self, view: &RequestView<'_>) -> Option<(&StickyKey, Fraction)> {
        self.keys.iter().find_map(|key| {
            let value = key.source.value(view).filter(|value| !value.is_empty())?;
            Some((key, self.bucket(&value)))
        })
    }

    /// The bucket of a key's value.
    pub(crate) fn bucket(&self, value: &[u8]) -> Fraction {
        bucket(&self.salt, value)
    }
}

impl KeySource {
    /// The bytes of the key.
    fn value<'r>(&self, view: &RequestView<'r>) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Trimmed(field) => view.first(*field).map(|value| Cow::Borrowed(value.trim_ascii())),
            Self::Whole(field) => view.first(*field).map(Cow::Borrowed),
            Self::Cookie { header, name } => cookie(view, *header, name).map(Cow::Borrowed),
            Self::Claim(number) => match view.claim(*number)? {
                Claim::Text(text) => Some(Cow::Owned(text.clone())),
                Claim::List(_) | Claim::None => None,
            },
            Self::SourceIp { length, length6 } => Some(Cow::Owned(match network::source_ip(view.context)? {
                ip @ IpAddr::V4(_) => octets(mask(ip, *length)),
                ip @ IpAddr::V6(_) => octets(mask(ip, *length6)),
            })),
        }
    }
}

/// The address in network byte order: 4 or 16 bytes.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The value of the first cookie with this name that is not empty, as sent.
fn cookie<'r>(view: &RequestView<'r>, header: Slot, name: &[u8]) -> Option<&'r [u8]> {
    let pairs = view.values(header).flat_map(|value| value.split(|byte| *byte == b';'));
    let mut halves = pairs.map(|pair| pair.splitn(2, |byte| *byte == b'='));
    halves.find_map(|mut halves| {
        let is_it = halves.next()?.trim_ascii() == name;
        halves.next().map(<[u8]>::trim_ascii).filter(|value| is_it && !value.is_empty())
    })
}

impl NewUser {
    /// The cookie value for a new user.
    pub(crate) fn value(identity: u128) -> String {
        format!("{identity:032x}")
    }

    /// The value of `Set-Cookie`.
    pub(crate) fn cookie(&self, value: &str, head: &RequestHead<'_>) -> String {
        let mut cookie = [&self.before_value, value, &self.attributes].concat();
        if self.secure.unwrap_or_else(|| head.scheme().eq_ignore_ascii_case(b"https")) {
            cookie.push_str("; Secure");
        }
        if self.http_only {
            cookie.push_str("; HttpOnly");
        }
        cookie
    }
}
