//! The compiled policy of one host.

use std::sync::Arc;

use canary_config::{FailureAccrual, Fault, Protocol, Ramp, RetryNext};

use super::sticky::Sticky;
use crate::head::RequestHead;
use crate::names::HeaderName;

/// The policy of one host.
#[derive(Debug)]
pub(crate) struct HostPolicy {
    /// The host's full name.
    pub(crate) host: Arc<str>,
    /// The fallback order. The last version is the default.
    pub(crate) order: Box<[Arc<str>]>,
    /// Every version that the policy names.
    pub(crate) versions: Box<[Arc<str>]>,
    /// Keeps each user on one version.
    pub(crate) sticky: Option<Sticky>,
    /// The canaries' order along the ring, with the outermost first.
    pub(crate) ring_order: Box<[Arc<str>]>,
    /// The ramp of a version's weight.
    pub(crate) ramp: Option<Ramp>,
    /// Whether all requests go to the default.
    pub(crate) frozen: bool,
    pub(crate) header: Option<VersionHeader>,
    /// The faults of single versions.
    pub(crate) faults: Box<[Fault]>,
    /// When failures eject a version.
    pub(crate) accrual: Option<Arc<FailureAccrual>>,
    /// Which requests may be repeated on the next version.
    pub(crate) retry_next: Option<RetryNext>,
}

/// A header by which clients pick a version.
#[derive(Debug)]
pub(crate) struct VersionHeader {
    pub(crate) name: HeaderName,
    pub(crate) protocol: Protocol,
    pub(crate) versions: Box<[Arc<str>]>,
}

/// The version that a client asked for in a version header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestedVersion<'t, 'r> {
    /// None. Rules see the default, and may pick any version.
    Nothing,
    /// A known version.
    Known(&'t str),
    /// Any other value, repeated or malformed. The default serves. This is the first value.
    Unknown(&'r [u8]),
}

/// The most bytes of a version's name, as in a Kubernetes label.
const MAX_NAME: usize = 63;

impl HostPolicy {
    /// The last version of the fallback order. It is assumed to be able to serve.
    pub(crate) fn default_subset(&self) -> Option<&str> {
        self.order.last().map(AsRef::as_ref)
    }

    /// Whether the fallback order has a version other than this one.
    pub(crate) fn has_other(&self, version: Option<&str>) -> bool {
        self.order.iter().any(|other| Some(&**other) != version)
    }

    /// The version header, if it applies to the protocol of the request.
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

    /// The version that the client asks for, if the version header applies to the request.
    pub(crate) fn requested_version<'r>(&self, head: &RequestHead<'r>) -> Option<RequestedVersion<'_, 'r>> {
        let header = self.header_for(head)?;
        let mut values = head.values(header.name.slot());
        let Some(first) = values.next() else { return Some(RequestedVersion::Nothing) };
        let known = header.versions.iter().find(|version| version.as_bytes() == first);
        Some(match (known, values.next()) {
            (Some(version), None) => RequestedVersion::Known(version),
            _ => RequestedVersion::Unknown(first),
        })
    }
}

/// A client's text in place of a version's name, cut to the length of a name.
pub(crate) fn cut_name(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MAX_NAME).unwrap_or(text)).into_owned()
}
