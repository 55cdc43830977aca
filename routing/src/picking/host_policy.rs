//! What a policy says for one host, compiled.

use std::sync::Arc;

use canary_config::{FailureAccrual, Fault, Protocol, Ramp, RetryNext};

use super::sticky::Sticky;
use crate::head::RequestHead;
use crate::names::HeaderName;

/// What a policy says for one host.
#[derive(Debug)]
pub(crate) struct HostPolicy {
    /// The host's full name.
    pub(crate) host: Arc<str>,
    /// The order in which versions are tried; the last is the default.
    pub(crate) order: Box<[Arc<str>]>,
    /// Every version that the policy names.
    pub(crate) versions: Box<[Arc<str>]>,
    /// The same user gets the same version.
    pub(crate) sticky: Option<Sticky>,
    /// The canaries' places along the ring, outermost first.
    pub(crate) ring_order: Box<[Arc<str>]>,
    /// A weight that the clock moves.
    pub(crate) ramp: Option<Ramp>,
    /// Everything goes to the default.
    pub(crate) frozen: bool,
    pub(crate) header: Option<VersionHeader>,
    /// The faults of all versions.
    pub(crate) faults: Box<[Fault]>,
    /// What failures do to a version.
    pub(crate) accrual: Option<Arc<FailureAccrual>>,
    /// Which requests may be repeated on the next version.
    pub(crate) retry_next: Option<RetryNext>,
}

/// A header in which clients name a version.
#[derive(Debug)]
pub(crate) struct VersionHeader {
    pub(crate) name: HeaderName,
    pub(crate) protocol: Protocol,
    pub(crate) versions: Box<[Arc<str>]>,
}

/// What a client asked for in a version header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked<'t, 'r> {
    /// Nothing; rules see the default, which does not bind them.
    Nothing,
    /// A version that is known.
    Known(&'t str),
    /// Anything else, once, twice or malformed: the default serves in its place. The first value.
    Unknown(&'r [u8]),
}

/// The longest name of a version, as of a Kubernetes label.
const MAX_NAME: usize = 63;

impl HostPolicy {
    /// The version that is always able to run.
    pub(crate) fn default_subset(&self) -> Option<&str> {
        self.order.last().map(AsRef::as_ref)
    }

    /// Whether the fallback order has another version than this one.
    pub(crate) fn has_other(&self, version: Option<&str>) -> bool {
        self.order.iter().any(|other| Some(&**other) != version)
    }

    /// The version header, if it counts for the request.
    pub(crate) fn header_for(&self, head: &RequestHead<'_>) -> Option<&VersionHeader> {
        let header = self.header.as_ref()?;
        let is_grpc = || head.content_type().is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let counts = match header.protocol {
            Protocol::Any => true,
            Protocol::Grpc => is_grpc(),
            Protocol::Http => !is_grpc(),
        };
        counts.then_some(header)
    }

    /// What the client asks for, where the version header counts for the request.
    pub(crate) fn asked<'r>(&self, head: &RequestHead<'r>) -> Option<Asked<'_, 'r>> {
        let header = self.header_for(head)?;
        let mut values = head.values(header.name.slot());
        let Some(first) = values.next() else { return Some(Asked::Nothing) };
        let known = header.versions.iter().find(|version| version.as_bytes() == first);
        Some(match (known, values.next()) {
            (Some(version), None) => Asked::Known(version),
            _ => Asked::Unknown(first),
        })
    }
}

/// What a client wrote where a version's name belongs, cut to what a name can hold.
pub(crate) fn cut_name(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MAX_NAME).unwrap_or(text)).into_owned()
}
