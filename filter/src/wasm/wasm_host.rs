//! The proxy-wasm host.

use canary_routing::LocalReply;
use sdk_shims::host::{self, Failure, Metric, Status};
use sdk_shims::{clock, entropy};

use crate::host::{HeadersOf, Host, HostError, MetricId, MetricKind, OwnedPairs, Pairs, SharedData};

/// The host of this VM.
pub(crate) struct WasmHost;

impl Pairs for host::Pairs {
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter()
    }
}

impl From<host::HostError> for HostError {
    fn from(error: host::HostError) -> Self {
        Self(error.to_string())
    }
}

impl Host for WasmHost {
    type Pairs = host::Pairs;

    fn request_headers(&self) -> Result<host::Pairs, HostError> {
        Ok(host::request_headers()?)
    }

    fn set_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError> {
        Ok(host::replace_header(map(of), name, value)?)
    }

    fn add_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError> {
        Ok(host::add_header(map(of), name, value)?)
    }

    fn remove_header(&self, of: HeadersOf, name: &str) -> Result<(), HostError> {
        Ok(host::remove_header(map(of), name)?)
    }

    fn property(&self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(host::property_at(path)?)
    }

    fn set_property(&self, name: &str, value: &[u8]) -> Result<(), HostError> {
        Ok(host::set_property(name, value)?)
    }

    fn node_namespace(&self) -> Result<Option<String>, HostError> {
        Ok(host::node_namespace()?)
    }

    fn node_labels(&self) -> Result<Option<Vec<(String, String)>>, HostError> {
        Ok(host::node_labels()?)
    }

    fn unix_nanoseconds(&self) -> Result<u64, HostError> {
        Ok(clock::unix_nanoseconds()?)
    }

    fn steady_nanoseconds(&self) -> Result<u64, HostError> {
        Ok(clock::steady_nanoseconds()?)
    }

    fn random(&self) -> u64 {
        entropy::draw()
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let kind = match kind {
            MetricKind::Counter => host::MetricKind::Counter,
            MetricKind::Gauge => host::MetricKind::Gauge,
            MetricKind::Histogram => host::MetricKind::Histogram,
        };
        Ok(MetricId(Metric::define(kind, name)?.id()))
    }

    fn increment_metric(&self, metric: MetricId) -> Result<(), HostError> {
        Ok(Metric::from_id(metric.0).increment()?)
    }

    fn record_metric(&self, metric: MetricId, number: u64) -> Result<(), HostError> {
        Ok(Metric::from_id(metric.0).record(number)?)
    }

    fn shared_data(&self, key: &str) -> Result<Option<SharedData<host::Pairs>>, HostError> {
        let shared = host::shared_data(key)?;
        let pairs = |bytes| host::Pairs::parse(bytes).unwrap_or_default();
        Ok(shared.map(|shared| SharedData { pairs: pairs(shared.value), state: shared.cas }))
    }

    fn set_shared_data(&self, key: &str, pairs: &OwnedPairs, state: Option<u32>) -> Result<bool, HostError> {
        let pairs = pairs.0.iter().map(|(name, value)| (&**name, &**value));
        Ok(host::set_shared_data(key, &host::encode_pairs(pairs), state.unwrap_or_default())?)
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        let response = host::LocalResponse {
            status: reply.status,
            grpc_status: reply.grpc_status,
            details: reply.details,
            body: &reply.body,
        };
        let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_ref()));
        Ok(host::send_local_response(response, headers)?)
    }

    fn enter_stream(&self, id: u32) -> Result<bool, HostError> {
        match host::set_effective_context(id) {
            Ok(()) => Ok(true),
            Err(host::HostError { failure: Failure::Status(Status::BadArgument), .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn resume_request(&self) -> Result<(), HostError> {
        Ok(host::resume_request()?)
    }

    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError> {
        Ok(host::set_tick_period(milliseconds)?)
    }
}

const fn map(of: HeadersOf) -> host::HeaderMap {
    match of {
        HeadersOf::Request => host::HeaderMap::Request,
        HeadersOf::Response => host::HeaderMap::Response,
    }
}
