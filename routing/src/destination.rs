//! Where requests go: a version of a host, and its cluster.

use std::borrow::Cow;
use std::sync::Arc;

/// A version of a host, or a host as a whole, by its place in [`RouteTable::destinations`](crate::RouteTable::destinations):
/// the same on every port and in every rule of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub(crate) u32);

impl DestinationId {
    /// The place.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What a [`DestinationId`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationName {
    /// The host's full name.
    pub host: Arc<str>,
    /// The version; `None` is the service as a whole.
    pub version: Option<Arc<str>>,
}

/// Where a rule sends requests.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The host and the version as a number.
    pub id: DestinationId,
    /// The host's full name.
    pub host: Arc<str>,
    /// The version; `None` is the service as a whole.
    pub subset: Option<Arc<str>>,
    /// The port; `None` is the request's.
    pub port: Option<u16>,
    pub(crate) clusters: ClusterNames,
}

/// The cluster of a destination, by the port of the request where its name depends on that.
#[derive(Debug, Clone)]
pub(crate) enum ClusterNames {
    Fixed(Arc<str>),
    ByPort {
        /// The names for the ports that the document names.
        known: Arc<[(u16, Box<str>)]>,
        /// What stands around the port in names for other ports.
        around_port: Arc<[String]>,
    },
}

impl PartialEq for Destination {
    /// Two destinations of one name and port are the same, in whichever table.
    fn eq(&self, other: &Self) -> bool {
        (&self.host, &self.subset, self.port) == (&other.host, &other.subset, other.port)
    }
}

impl Eq for Destination {}

impl Destination {
    /// Whether this is a version of a host, given by its full name.
    pub(crate) fn is(&self, host: &str, subset: &str) -> bool {
        self.subset.as_deref() == Some(subset) && *self.host == *host
    }

    /// The cluster for requests of a port. Allocates for a port that the document does not name.
    pub(crate) fn cluster(&self, request_port: u16) -> Cow<'_, str> {
        match &self.clusters {
            ClusterNames::Fixed(name) => Cow::Borrowed(name),
            ClusterNames::ByPort { known, around_port } => match known.iter().find(|(port, _)| *port == request_port) {
                Some((_, name)) => Cow::Borrowed(name),
                None => Cow::Owned(around_port.join(&request_port.to_string())),
            },
        }
    }
}
