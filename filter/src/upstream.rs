//! Where the router has sent the stream's request: the cluster, the endpoint and its version, and with which try.

use canary_routing::Destination;

use crate::host::{Host, HostError};

/// The version that `canaryctl` writes into the metadata of endpoints.
const VERSION: &str = "xds\0upstream_host_metadata\0filter_metadata\0canary\0version";
/// What istiod writes there: `WORKLOAD;NAMESPACE;CANONICAL-NAME;CANONICAL-REVISION;CLUSTER`.
const WORKLOAD: &str = "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";
/// The place of the revision in it.
const REVISION: usize = 3;
const CLUSTER_NAME: &str = "xds\0cluster_name";
const ADDRESS: &str = "upstream\0address";
const ATTEMPTS: &str = "upstream\0request_attempt_count";

/// Whether an endpoint and a connection to it have been found.
pub(crate) fn has_endpoint(host: &impl Host) -> Result<bool, HostError> {
    Ok(host.property(ADDRESS)?.is_some())
}

/// Whether the route's cluster is this one or this failover cluster; `None` where there is no cluster. Native routes may send a
/// request elsewhere.
pub(crate) fn is_in(host: &impl Host, cluster: &str, failover: Option<&str>) -> Result<Option<bool>, HostError> {
    let Some(name) = host.property(CLUSTER_NAME)? else { return Ok(None) };
    Ok(Some([Some(cluster), failover].into_iter().flatten().any(|cluster| name == cluster.as_bytes())))
}

/// How often the router has tried, 1 where it does not say.
pub(crate) fn attempts(host: &impl Host) -> Result<u64, HostError> {
    let attempts = host.property(ATTEMPTS)?.and_then(|count| count.try_into().ok());
    Ok(attempts.map_or(1, u64::from_le_bytes))
}

/// What an endpoint's metadata says of its version.
pub(crate) enum EndpointVersion {
    /// The name of the subset.
    Subset(Vec<u8>),
    /// Of Pods: the value of the label that tells the service's subsets apart.
    Revision(Vec<u8>),
}

impl EndpointVersion {
    /// That of the stream's endpoint; `None` where there is no endpoint yet, or it says nothing. Costs one property where
    /// `canaryctl` wrote the metadata, two where istiod did.
    pub(crate) fn of_stream(host: &impl Host) -> Result<Option<Self>, HostError> {
        if let Some(subset) = host.property(VERSION)? {
            return Ok(Some(Self::Subset(subset)));
        }
        let Some(workload) = host.property(WORKLOAD)? else { return Ok(None) };
        let revision = workload.split(|byte| *byte == b';').nth(REVISION);
        Ok(revision.map(|revision| Self::Revision(revision.to_vec())))
    }

    /// Whether it is a destination's version.
    pub(crate) fn is(&self, destination: &Destination) -> bool {
        let (own, name) = match self {
            Self::Subset(own) => (own, &destination.subset),
            Self::Revision(own) => (own, &destination.revision),
        };
        name.as_deref().map(str::as_bytes) == Some(own)
    }
}
