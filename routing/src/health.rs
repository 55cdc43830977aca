//! What is known of clusters when a request is decided, and why a version cannot serve.

/// Why a version cannot serve: the words of metrics, logs and `canaryctl explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// The client asked for a version that is no version of the host.
    UnknownVersion,
    /// The proxy has no such cluster.
    MissingCluster,
    /// The cluster has no endpoint that can serve.
    NoEndpoints,
    /// Failures have ejected the version for a while; it still serves where nothing else can.
    Ejected,
    /// It was tried, and the proxy has tried the next version: it could not be reached, or failed in a way that `retryNext` lists.
    Failed,
}

impl FallbackReason {
    /// The word used in metrics, logs and explanations.
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

/// Knows which clusters cannot serve now.
pub trait Health {
    /// Why a cluster cannot serve; `None` where it can, or nothing is known.
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason>;

    /// Whether an ejected cluster may get one more request, to find out whether it can serve again.
    fn may_try(&self, _cluster: &str) -> bool {
        false
    }
}

/// Every cluster can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllHealthy;

impl Health for AllHealthy {
    fn unavailable(&self, _cluster: &str) -> Option<FallbackReason> {
        None
    }
}

/// These clusters count as missing.
impl Health for Vec<String> {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.iter().any(|missing| missing == cluster).then_some(FallbackReason::MissingCluster)
    }
}
