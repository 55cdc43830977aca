//! Destinations: a version of a host, and its cluster.

use std::borrow::Cow;
use std::sync::Arc;

use canary_config::{FAILOVER_PREFIX, failover_name};

/// The index of a version of a host, or of a host as a whole, in
/// [`RouteTable::destinations`](crate::RouteTable::destinations). It is the same on every port and in every rule of a
/// table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub(crate) u32);

impl DestinationId {
    /// The index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The name of a [`DestinationId`].
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
    /// The number of the host and the version.
    pub id: DestinationId,
    /// The host's full name.
    pub host: Arc<str>,
    /// The version; `None` is the service as a whole.
    pub subset: Option<Arc<str>>,
    /// The port. `None` is the request's port.
    pub port: Option<u16>,
    /// The revision that Istio's endpoints name for the version's workloads, if the configuration has one that no other
    /// version has.
    pub revision: Option<Arc<str>>,
    pub(crate) clusters: ClusterNames,
}

/// The clusters of a destination. The name may depend on the port of the request.
#[derive(Debug, Clone)]
pub(crate) enum ClusterNames {
    Fixed(ClusterName),
    ByPort {
        /// The names for the ports that the configuration lists.
        known: Box<[(u16, ClusterName)]>,
        /// The parts of the name before and after any other port.
        around_port: Arc<[String]>,
    },
}

/// The name of a version's failover cluster, which ends with the name of its own cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterName {
    text: Box<str>,
    /// Where the name of its own cluster starts.
    own: usize,
}

impl ClusterName {
    /// The names of a cluster and, if the proxy has one, of its failover cluster.
    pub(crate) fn new(own: &str, fails_over: bool) -> Self {
        match fails_over {
            true => Self { text: failover_name(own).into(), own: FAILOVER_PREFIX.len() },
            false => Self { text: own.into(), own: 0 },
        }
    }

    pub(crate) fn own(&self) -> &str {
        self.text.get(self.own..).unwrap_or(&self.text)
    }

    /// The failover cluster. `None` if the proxy has none.
    pub(crate) fn failover(&self) -> Option<&str> {
        (self.own > 0).then_some(&self.text)
    }
}

impl PartialEq for Destination {
    /// Destinations with the same name and port are equal, also across tables.
    fn eq(&self, other: &Self) -> bool {
        (&self.host, &self.subset, self.port) == (&other.host, &other.subset, other.port)
    }
}

impl Eq for Destination {}

impl Destination {
    /// Whether this is the given version of the host with this full name.
    pub(crate) fn is(&self, host: &str, subset: &str) -> bool {
        self.subset.as_deref() == Some(subset) && *self.host == *host
    }

    /// The cluster for requests to a port. Allocates for a port that the configuration does not list.
    pub(crate) fn cluster(&self, request_port: u16) -> Cow<'_, str> {
        match &self.clusters {
            ClusterNames::Fixed(name) => Cow::Borrowed(name.own()),
            ClusterNames::ByPort { known, around_port } => match find(known, request_port) {
                Some(name) => Cow::Borrowed(name.own()),
                None => Cow::Owned(around_port.join(&request_port.to_string())),
            },
        }
    }

    /// The cluster names for requests to a port. `None` for a port that the configuration does not list.
    pub(crate) fn named(&self, request_port: u16) -> Option<&ClusterName> {
        match &self.clusters {
            ClusterNames::Fixed(name) => Some(name),
            ClusterNames::ByPort { known, .. } => find(known, request_port),
        }
    }
}

fn find(known: &[(u16, ClusterName)], request_port: u16) -> Option<&ClusterName> {
    known.iter().find(|(port, _)| *port == request_port).map(|(_, name)| name)
}
