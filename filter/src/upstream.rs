//! Where Envoy's router has sent the current request: the cluster, the endpoint, its version, and the number of the
//! try.

use canary_routing::Destination;

use crate::host::{Host, HostError};

/// The version in the endpoint's metadata, as `canaryctl` writes it.
const VERSION: &str = "xds\0upstream_host_metadata\0filter_metadata\0canary\0version";
/// The workload in the endpoint's metadata, as istiod writes it:
/// `WORKLOAD;NAMESPACE;CANONICAL-NAME;CANONICAL-REVISION;CLUSTER`.
const WORKLOAD: &str = "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";
/// The index of the revision in it.
const REVISION: usize = 3;
const CLUSTER_NAME: &str = "xds\0cluster_name";
const ADDRESS: &str = "upstream\0address";
const ATTEMPTS: &str = "upstream\0request_attempt_count";

/// Whether the request has an endpoint and a connection to it.
pub(crate) fn has_endpoint(host: &impl Host) -> Result<bool, HostError> {
    Ok(host.property(ADDRESS)?.is_some())
}

/// Whether the route's cluster is one of these. `None` if there is no cluster. A native route may have another cluster.
pub(crate) fn is_in(host: &impl Host, cluster: &str, failover: Option<&str>) -> Result<Option<bool>, HostError> {
    let Some(name) = host.property(CLUSTER_NAME)? else { return Ok(None) };
    Ok(Some([Some(cluster), failover].into_iter().flatten().any(|cluster| name == cluster.as_bytes())))
}

/// The number of tries. 1 if the router does not report it.
pub(crate) fn attempts(host: &impl Host) -> Result<u64, HostError> {
    let attempts = host.property(ATTEMPTS)?.and_then(|count| count.try_into().ok());
    Ok(attempts.map_or(1, u64::from_le_bytes))
}

/// The version in an endpoint's metadata.
pub(crate) enum EndpointVersion {
    /// The name of the subset.
    Subset(Vec<u8>),
    /// The canonical revision of the Pods, which is the value of a label.
    Revision(Vec<u8>),
}

impl EndpointVersion {
    /// The version of the current stream's endpoint. `None` if there is no endpoint yet, or no version in its metadata.
    /// Costs one property if `canaryctl` wrote the metadata, and two if istiod did.
    pub(crate) fn of_stream(host: &impl Host) -> Result<Option<Self>, HostError> {
        if let Some(subset) = host.property(VERSION)? {
            return Ok(Some(Self::Subset(subset)));
        }
        let Some(workload) = host.property(WORKLOAD)? else { return Ok(None) };
        let revision = workload.split(|byte| *byte == b';').nth(REVISION);
        Ok(revision.map(|revision| Self::Revision(revision.to_vec())))
    }

    /// Whether it is the version of a destination.
    pub(crate) fn is(&self, destination: &Destination) -> bool {
        let (own, name) = match self {
            Self::Subset(own) => (own, &destination.subset),
            Self::Revision(own) => (own, &destination.revision),
        };
        name.as_deref().map(str::as_bytes) == Some(own)
    }
}
