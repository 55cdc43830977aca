//! The host interface. Only the `wasm` folder knows more of the host.

use std::fmt;

/// A host of streams. Calls about headers, properties and replies act on the current stream: the one whose callback
/// runs, or which was [entered](Self::enter_stream).
pub(crate) trait Host {
    /// Pairs of names and values, in the host's format.
    type Pairs: Pairs;

    /// The headers of the request, with the pseudo-headers.
    fn request_headers(&self) -> Result<Self::Pairs, HostError>;

    /// Makes `value` the only value of a header.
    fn set_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// Appends a value to a header.
    fn add_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// Removes every value of a header. An absent header is not an error.
    fn remove_header(&self, of: HeadersOf, name: &str) -> Result<(), HostError>;

    /// A property. `None` if it does not exist. NUL separates the elements of its path.
    fn property(&self, path: &str) -> Result<Option<Vec<u8>>, HostError>;

    /// Sets a property of the stream, for access logs and later filters.
    fn set_property(&self, name: &str, value: &[u8]) -> Result<(), HostError>;

    /// The namespace of the workload that the proxy serves.
    fn node_namespace(&self) -> Result<Option<String>, HostError>;

    /// The labels of the workload that the proxy serves.
    fn node_labels(&self) -> Result<Option<Vec<(String, String)>>, HostError>;

    /// The wall clock in nanoseconds since the Unix epoch, the same for all VMs.
    fn unix_nanoseconds(&self) -> Result<u64, HostError>;

    /// The steady clock of this VM in nanoseconds. It never goes back.
    fn steady_nanoseconds(&self) -> Result<u64, HostError>;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// Defines a series of the host's statistics. Returns the same id for the same name.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;

    /// Adds one to a counter.
    fn increment_metric(&self, metric: MetricId) -> Result<(), HostError>;

    /// Records a value of a gauge or a histogram.
    fn record_metric(&self, metric: MetricId, number: u64) -> Result<(), HostError>;

    /// The data that the VMs share under a key. `None` if nothing was ever shared. Malformed data is read as no pairs.
    fn shared_data(&self, key: &str) -> Result<Option<SharedData<Self::Pairs>>, HostError>;

    /// Shares pairs if the state number is still this one, or in any case for `None`. Returns whether they were shared.
    fn set_shared_data(&self, key: &str, pairs: &OwnedPairs, state: Option<u32>) -> Result<bool, HostError>;

    /// Sends a local reply.
    fn send_local_reply(&self, reply: &canary_routing::LocalReply<'_>) -> Result<(), HostError>;

    /// Makes another stream the current one. False if that stream is about to end.
    fn enter_stream(&self, id: u32) -> Result<bool, HostError>;

    /// Resumes a paused request.
    fn resume_request(&self) -> Result<(), HostError>;

    /// Sets the tick period of the current plugin, or of the current stream's plugin. 0 stops the tick.
    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError>;
}

/// Pairs of names and values in order. A repeated name has one pair for each value.
pub(crate) trait Pairs {
    /// Every pair.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

/// The request or the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadersOf {
    /// The request's headers, before it goes on. Each write clears Envoy's route cache.
    Request,
    /// The response's headers, in the response phase.
    Response,
}

/// The kind of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// Sums the numbers.
    Counter,
    /// Shows the last number.
    Gauge,
    /// Shows the distribution of the numbers.
    Histogram,
}

/// The id of a series of the host's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricId(pub(crate) u32);

/// The shared data, and the number of its state.
pub(crate) struct SharedData<P> {
    pub(crate) pairs: P,
    pub(crate) state: u32,
}

/// Pairs that are valid after the host call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnedPairs(pub(crate) Vec<OwnedPair>);

/// A name and a value.
pub(crate) type OwnedPair = (Box<[u8]>, Box<[u8]>);

/// A failed host call.
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
