//! The version of the endpoint to which a request's last try has gone, as the endpoint's metadata says.

use canary_routing::Destination;

use crate::host::{Host, HostError};

/// The version that `canaryctl` writes into the metadata of endpoints.
const VERSION: &str = "xds\0upstream_host_metadata\0filter_metadata\0canary\0version";
/// What istiod writes there: `WORKLOAD;NAMESPACE;CANONICAL-NAME;CANONICAL-REVISION;CLUSTER`.
const WORKLOAD: &str = "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";
/// The place of the revision in it.
const REVISION: usize = 3;

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
