//! Where requests go: a version of a host, and its cluster.

use std::borrow::Cow;
use std::sync::Arc;

use canary_config::{FAILOVER_PREFIX, failover_name};

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
    /// The revision by which Istio's endpoints name the version's workloads, if the document says one that no other version has.
    pub revision: Option<Arc<str>>,
    pub(crate) clusters: ClusterNames,
}

/// The cluster of a destination, by the port of the request where its name depends on that.
#[derive(Debug, Clone)]
pub(crate) enum ClusterNames {
    Fixed(ClusterName),
    ByPort {
        /// The names for the ports that the document names.
        known: Box<[(u16, ClusterName)]>,
        /// What stands around the port in names for other ports.
        around_port: Arc<[String]>,
    },
}

/// The name of a version's cluster, and of its failover cluster, which ends with it.
#[derive(Debug, Clone)]
pub(crate) struct ClusterName {
    text: Box<str>,
    /// Where the version's own begins.
    own: usize,
}

impl ClusterName {
    /// The name of a cluster, and of the one that goes on to other versions where the proxy has that.
    pub(crate) fn new(own: &str, fails_over: bool) -> Self {
        match fails_over {
            true => Self { text: failover_name(own).into(), own: FAILOVER_PREFIX.len() },
            false => Self { text: own.into(), own: 0 },
        }
    }

    pub(crate) fn own(&self) -> &str {
        self.text.get(self.own..).unwrap_or(&self.text)
    }

    /// The failover cluster; `None` where the proxy has none.
    pub(crate) fn failover(&self) -> Option<&str> {
        (self.own > 0).then_some(&self.text)
    }
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
            ClusterNames::Fixed(name) => Cow::Borrowed(name.own()),
            ClusterNames::ByPort { known, around_port } => match find(known, request_port) {
                Some(name) => Cow::Borrowed(name.own()),
                None => Cow::Owned(around_port.join(&request_port.to_string())),
            },
        }
    }

    /// The names of the clusters for requests of a port; `None` for a port that the document does not name.
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
