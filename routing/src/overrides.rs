//! Who may force a version or ask for an explanation.

use std::cell::OnceCell;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{ControlHeaders, Overrides, Principal, Secret, TrustedSource};
use crate::format::Property;
use crate::network;
use crate::request::RequestView;

/// What became of a wish that a client put into a control header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Permission {
    /// It has none.
    #[default]
    NotAsked,
    /// It is trusted and gets what it asks for.
    Granted,
    /// It is not trusted: the header counts as absent.
    Refused,
}

/// What became of a client's wishes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// To force a version.
    pub version: Permission,
    /// To have the decision explained.
    pub explain: Permission,
}

/// Longer secrets are refused unread: what a stranger sends costs no more than this to judge.
const LONGEST_SECRET: usize = 1024;

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

impl Permissions {
    /// Judges a request's control headers. Who is trusted is looked at only where there is one.
    pub(crate) fn judge(overrides: &Overrides, headers: &ControlHeaders, request: &impl RequestView) -> Self {
        let asks = |name: Option<&str>| name.is_some_and(|name| request.header(name).next().is_some());
        let (version, explain) = (asks(headers.version()), asks(headers.explain()));
        if !version && !explain {
            return Self::default();
        }
        let is_trusted = {
            let address = OnceCell::new();
            let address = || *address.get_or_init(|| overrides.address(request));
            overrides.from.iter().any(|source| source.is_met_by(request, address))
        };
        let permission = |asked| match (asked, is_trusted) {
            (false, _) => Permission::NotAsked,
            (true, true) => Permission::Granted,
            (true, false) => Permission::Refused,
        };
        let says_yes = || headers.explain().is_some_and(|name| request.header(name).eq([EXPLAIN]));
        Self { version: permission(version), explain: permission(explain && (!is_trusted || says_yes())) }
    }
}

impl Overrides {
    fn address(&self, request: &impl RequestView) -> Option<IpAddr> {
        if self.trust_forwarded_for { network::source_ip(request) } else { network::peer_ip(request) }
    }
}

impl TrustedSource {
    fn is_met_by(&self, request: &impl RequestView, address: impl Fn() -> Option<IpAddr>) -> bool {
        self.cidr.is_none_or(|cidr| address().is_some_and(|address| cidr.contains(address)))
            && self.principal.as_ref().is_none_or(|principal| principal.is_met_by(request))
            && self.secret.as_ref().is_none_or(|secret| secret.is_met_by(request))
    }
}

impl Principal {
    fn is_met_by(&self, request: &impl RequestView) -> bool {
        let shown = request.property(Property::PeerUriSan).filter(|shown| !shown.is_empty());
        shown.is_some_and(|shown| match self {
            Self::Exact(uri) => shown == uri.as_bytes(),
            Self::Prefix(prefix) => shown.starts_with(prefix.as_bytes()),
        })
    }
}

impl Secret {
    /// One line with the secret. Digests are compared, in a time that does not tell how much of them is right.
    fn is_met_by(&self, request: &impl RequestView) -> bool {
        let mut lines = request.header(&self.header);
        let (Some(shown), None) = (lines.next(), lines.next()) else { return false };
        shown.len() <= LONGEST_SECRET && bool::from(Sha256::digest(shown).as_slice().ct_eq(&self.sha256))
    }
}
