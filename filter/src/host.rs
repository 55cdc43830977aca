//! What the filter asks of its host. Everything but the `wasm` folder knows the host by this interface alone.

use std::fmt;

/// A host that serves streams. Calls about headers, properties and replies act on the stream whose callback is running, or
/// that was [entered](Self::enter_stream).
pub(crate) trait Host {
    /// Pairs of names and values, as the host hands them out.
    type Pairs: Pairs;

    /// The headers of the request, pseudo-headers included.
    fn request_headers(&self) -> Result<Self::Pairs, HostError>;

    /// Makes `value` the only value of a header.
    fn set_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// Appends a value to a header.
    fn add_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// Removes every value of a header; an absent one is no error.
    fn remove_header(&self, of: HeadersOf, name: &str) -> Result<(), HostError>;

    /// A property; `None` where there is none. The elements of its path are separated by NUL.
    fn property(&self, path: &str) -> Result<Option<Vec<u8>>, HostError>;

    /// Gives the stream a property, which access logs and later filters can read.
    fn set_property(&self, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// The namespace of the workload that the proxy serves.
    fn node_namespace(&self) -> Result<Option<String>, HostError>;

    /// The labels of the workload that the proxy serves.
    fn node_labels(&self) -> Result<Option<Vec<(String, String)>>, HostError>;

    /// The wall clock in nanoseconds since the Unix epoch, the same for all VMs.
    fn unix_nanoseconds(&self) -> Result<u64, HostError>;

    /// A clock of this VM in nanoseconds that never goes back.
    fn steady_nanoseconds(&self) -> Result<u64, HostError>;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// Defines a series of the host's statistics, or finds it.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;

    /// Counts one more.
    fn increment_metric(&self, metric: MetricId) -> Result<(), HostError>;

    /// Records a number of a gauge or histogram.
    fn record_metric(&self, metric: MetricId, number: u64) -> Result<(), HostError>;

    /// What the VMs share under a key; `None` where nothing was ever shared. Pairs that are malformed are none.
    fn shared_data(&self, key: &str) -> Result<Option<SharedData<Self::Pairs>>, HostError>;

    /// Shares pairs, if the state is still this one, or whatever it is for `None`: whether it was.
    fn set_shared_data(&self, key: &str, pairs: &OwnedPairs, state: Option<u32>) -> Result<bool, HostError>;

    /// Answers the request.
    fn send_local_reply(&self, reply: &canary_routing::LocalReply<'_>) -> Result<(), HostError>;

    /// Puts another stream in force: false where it is about to end.
    fn enter_stream(&self, id: u32) -> Result<bool, HostError>;

    /// Lets a paused request go on.
    fn resume_request(&self) -> Result<(), HostError>;

    /// Has the plugin of the stream or plugin in force ticked every so many milliseconds; 0 ends it.
    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError>;
}

/// Pairs of names and values in order; a repeated name is there once for each of its values.
pub(crate) trait Pairs {
    /// Every pair.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

/// Whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadersOf {
    /// The request's, until it goes on. Envoy forgets its chosen route at each write.
    Request,
    /// The response's, in the response phase.
    Response,
}

/// What a series does with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// Adds them up.
    Counter,
    /// Shows the last one.
    Gauge,
    /// Shows how they are distributed.
    Histogram,
}

/// A series of the host's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricId(pub(crate) u32);

/// What the VMs share, and the number of its state.
pub(crate) struct SharedData<P> {
    pub(crate) pairs: P,
    pub(crate) state: u32,
}

/// Pairs that outlive the host's call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnedPairs(pub(crate) Vec<OwnedPair>);

/// A name and a value.
pub(crate) type OwnedPair = (Box<[u8]>, Box<[u8]>);

/// A call that the host has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostError(pub(crate) String);

impl Pairs for OwnedPairs {
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
