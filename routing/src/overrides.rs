//! Decides which clients may force a version or ask for an explanation.

use std::cell::OnceCell;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use canary_config::cidr::Cidr;
use canary_config::format::Property;

use crate::context::RequestContext;
use crate::head::RequestHead;
use crate::names::{HeaderName, Slot};
use crate::network;

/// Whether a client may do what a control header asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Permission {
    /// The request has no such header.
    #[default]
    NotAsked,
    /// The client is trusted, so the header counts.
    Granted,
    /// The client is not trusted, so the header counts as absent.
    Refused,
}

/// The permission for each control header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// Permission to force a version.
    pub version: Permission,
    /// Permission to get an explanation.
    pub explain: Permission,
}

/// In bytes. A longer secret is rejected without hashing, which bounds the cost of a request.
const MAX_SECRET: usize = 1024;

/// The value by which a client asks for an explanation.
const EXPLAIN: &[u8] = b"1";

impl Permission {
    /// The word for metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Granted => "granted",
            Self::Refused => "refused",
        }
    }
}

/// The trusted clients and their control headers, compiled.
#[derive(Debug)]
pub(crate) struct Overrides {
    /// The control headers.
    pub(crate) version: Option<HeaderName>,
    pub(crate) explain: Option<HeaderName>,
    /// A client is trusted if it satisfies any of these.
    pub(crate) from: Box<[TrustedSource]>,
    /// Whether an address that Envoy took from `X-Forwarded-For` counts.
    pub(crate) trust_forwarded_for: bool,
}

/// Conditions on a client. All that are set must hold.
#[derive(Debug)]
pub(crate) struct TrustedSource {
    pub(crate) cidr: Option<Cidr>,
    pub(crate) principal: Option<Principal>,
    pub(crate) secret: Option<Secret>,
}

/// The first URI of the client's certificate, or a prefix of it.
#[derive(Debug)]
pub(crate) enum Principal {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
}

/// The header whose only value has this digest.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) header: Slot,
    pub(crate) sha256: [u8; 32],
}

impl Overrides {
    /// Judges a request's control headers. The client is checked only if the request has one.
    pub(crate) fn judge(&self, head: &RequestHead<'_>, context: &dyn RequestContext) -> Permissions {
        // Nearly every request has no header that only the filter may set.
        if !head.has_own() {
            return Permissions::default();
        }
        let asks = |name: &Option<HeaderName>| name.as_ref().is_some_and(|name| head.has(name.slot()));
        let (version, explain) = (asks(&self.version), asks(&self.explain));
        if !version && !explain {
            return Permissions::default();
        }
        let is_trusted = self.trusts(head, context);
        let permission = |asked| match (asked, is_trusted) {
            (false, _) => Permission::NotAsked,
            (true, true) => Permission::Granted,
            (true, false) => Permission::Refused,
        };
        let says_yes = || self.explain.as_ref().is_some_and(|name| head.is_exactly(name.slot(), EXPLAIN));
        Permissions { version: permission(version), explain: permission(explain && (!is_trusted || says_yes())) }
    }

    fn trusts(&self, head: &RequestHead<'_>, context: &dyn RequestContext) -> bool {
        let address = OnceCell::new();
        let address = || *address.get_or_init(|| self.address(context));
        self.from.iter().any(|source| {
            source.cidr.is_none_or(|cidr| address().is_some_and(|address| cidr.contains(address)))
                && source.principal.as_ref().is_none_or(|principal| principal.matches(context))
                && source.secret.as_ref().is_none_or(|secret| secret.matches(head))
        })
    }

    fn address(&self, context: &dyn RequestContext) -> Option<IpAddr> {
        if self.trust_forwarded_for { network::source_ip(context) } else { network::peer_ip(context) }
    }
}

impl Principal {
    fn matches(&self, context: &dyn RequestContext) -> bool {
        let shown = context.property(Property::PeerUriSan).filter(|shown| !shown.is_empty());
        shown.is_some_and(|shown| match self {
            Self::Exact(uri) => shown == **uri,
            Self::Prefix(prefix) => shown.starts_with(prefix),
        })
    }
}

impl Secret {
    /// The header must have one value, the secret. The digests are compared in constant time.
    fn matches(&self, head: &RequestHead<'_>) -> bool {
        let mut values = head.values(self.header);
        let (Some(shown), None) = (values.next(), values.next()) else { return false };
        shown.len() <= MAX_SECRET && bool::from(Sha256::digest(shown).as_slice().ct_eq(&self.sha256))
    }
}
