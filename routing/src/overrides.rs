//! Who may force a version or ask for an explanation.

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

/// What became of what a client asks for in a control header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Permission {
    /// It asks for nothing.
    #[default]
    NotAsked,
    /// The client is trusted and gets what it asks for.
    Granted,
    /// The client is not trusted: the header counts as absent.
    Refused,
}

/// What became of what a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// To force a version.
    pub version: Permission,
    /// To have the decision explained.
    pub explain: Permission,
}

/// In bytes. Longer secrets are refused unread: what a stranger sends costs no more than this to judge.
const MAX_SECRET: usize = 1024;

/// How a client asks for an explanation.
const EXPLAIN: &[u8] = b"1";

impl Permission {
    /// The word used in metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Granted => "granted",
            Self::Refused => "refused",
        }
    }
}

/// Who may force a version or ask for an explanation, compiled.
#[derive(Debug)]
pub(crate) struct Overrides {
    /// The control headers by which clients ask.
    pub(crate) version: Option<HeaderName>,
    pub(crate) explain: Option<HeaderName>,
    /// Alternatives.
    pub(crate) from: Box<[TrustedSource]>,
    /// Whether an address that the proxy took from `X-Forwarded-For` counts.
    pub(crate) trust_forwarded_for: bool,
}

/// A client that is trusted: everything that is set has to hold.
#[derive(Debug)]
pub(crate) struct TrustedSource {
    pub(crate) cidr: Option<Cidr>,
    pub(crate) principal: Option<Principal>,
    pub(crate) secret: Option<Secret>,
}

/// The first URI of the client's certificate, or its beginning.
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
    /// Judges a request's control headers. Who is trusted is looked at only where somebody asks.
    pub(crate) fn judge(&self, head: &RequestHead<'_>, context: &dyn RequestContext) -> Permissions {
        // The control headers are the filter's own, of which nearly every request has none.
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
                && source.principal.as_ref().is_none_or(|principal| principal.is_met_by(context))
                && source.secret.as_ref().is_none_or(|secret| secret.is_met_by(head))
        })
    }

    fn address(&self, context: &dyn RequestContext) -> Option<IpAddr> {
        if self.trust_forwarded_for { network::source_ip(context) } else { network::peer_ip(context) }
    }
}

impl Principal {
    fn is_met_by(&self, context: &dyn RequestContext) -> bool {
        let shown = context.property(Property::PeerUriSan).filter(|shown| !shown.is_empty());
        shown.is_some_and(|shown| match self {
            Self::Exact(uri) => shown == **uri,
            Self::Prefix(prefix) => shown.starts_with(prefix),
        })
    }
}

impl Secret {
    /// One value, the secret. Digests are compared, in a time that does not tell how much of them is right.
    fn is_met_by(&self, head: &RequestHead<'_>) -> bool {
        let mut values = head.values(self.header);
        let (Some(shown), None) = (values.next(), values.next()) else { return false };
        shown.len() <= MAX_SECRET && bool::from(Sha256::digest(shown).as_slice().ct_eq(&self.sha256))
    }
}
