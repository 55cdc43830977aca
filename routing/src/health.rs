//! The health of clusters, and why a version cannot serve.

/// Why a version cannot serve. Metrics, logs and `canaryctl explain` use these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// The client named a version that the host does not have.
    UnknownVersion,
    /// The proxy has no such cluster.
    MissingCluster,
    /// The cluster has no endpoint that can serve.
    NoEndpoints,
    /// Failures have ejected the version for a while. It still serves if no other version can.
    Ejected,
    /// Envoy tried the version and then the next one: it was unreachable, or failed in a way that `retryNext` lists.
    Failed,
}

impl FallbackReason {
    /// The word for metrics, logs and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownVersion => "unknown-version",
            Self::MissingCluster => "missing-cluster",
            Self::NoEndpoints => "no-endpoints",
            Self::Ejected => "ejected",
            Self::Failed => "failed",
        }
    }
}

/// The health of clusters.
pub trait Health {
    /// Why a cluster cannot serve. `None` if it can, or if its health is unknown.
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason>;

    /// Whether an ejected cluster may get one more request, as a trial.
    fn may_try(&self, _cluster: &str) -> bool {
        false
    }
}

/// Every cluster is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllHealthy;

impl Health for AllHealthy {
    fn unavailable(&self, _cluster: &str) -> Option<FallbackReason> {
        None
    }
}

/// The listed clusters are missing.
impl Health for Vec<String> {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.iter().any(|missing| missing == cluster).then_some(FallbackReason::MissingCluster)
    }
}
