//! A request whose version may be replaced: finds the version that answers, and counts its failures.

use std::sync::Arc;
use std::time::Duration;

use canary_routing::accrual::Verdict;
use canary_routing::{
    Destination, FailoverFailure, FailoverVersion, FallbackReason, Forward, HeaderChanges, Reason, RequestHead, Route,
};

use crate::health::{AwaitedVersion, InFlight, NewRequest, VmHealth};
use crate::host::{Host, HostError, Pairs};
use crate::ticker::Ticker;
use crate::upstream::{self, EndpointVersion};

/// A request to a version that another one may replace.
pub(crate) struct TrackedRequest {
    /// When the stream began: the time of the last tick.
    pub(crate) began: u64,
    /// The picked version, or the one that answered instead.
    pub(crate) version: Version,
    /// The failover cluster, if the proxy has one.
    pub(crate) failover: Option<Box<str>>,
    /// The versions that Envoy tries after the picked one, each with the changes of its responses.
    others: Vec<(Version, HeaderChanges)>,
    /// Whether a failover from a version counts as a failure of that version.
    failover_failure: FailoverFailure,
    /// Why the version was picked, and by which route.
    pub(crate) reason: Reason,
    pub(crate) route: Arc<str>,
    /// The request in the failure accrual of its version.
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) client: ClientFactors,
}

/// A version and its cluster.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) destination: Arc<Destination>,
    pub(crate) cluster: Box<str>,
}

/// Properties of the client's request that may cause a failure which is not the version's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientFactors {
    /// Whether the request is a gRPC call.
    pub(crate) is_grpc: bool,
    /// Whether the client has set a time limit, or conditions for retries.
    pub(crate) has_deadline: bool,
    /// Whether the headers are larger than some servers accept.
    pub(crate) is_large: bool,
    /// Whether the client has sent the whole request.
    pub(crate) is_complete: bool,
}

/// The version that answered instead of the picked one.
pub(crate) struct ServedBy {
    pub(crate) from: Arc<Destination>,
    pub(crate) reason: FallbackReason,
    /// The changes of its responses.
    pub(crate) response: HeaderChanges,
}

impl TrackedRequest {
    /// Tracks a request with this decision and delay. `None` if no other version can replace its version, or if the
    /// client has chosen a part of the cluster's name. No state is kept under such a name.
    pub(crate) fn new(
        health: &VmHealth,
        ticker: &Ticker,
        (forward, route): (&Forward<'_>, &Route),
        (stream, delay): (u32, Option<Duration>),
        client: impl FnOnce() -> ClientFactors,
    ) -> Option<Self> {
        let std::borrow::Cow::Borrowed(cluster) = forward.cluster else { return None };
        if !forward.has_alternative {
            return None;
        }
        let version = Version { destination: Arc::clone(forward.destination), cluster: cluster.into() };
        let others = forward.failover.iter().flat_map(|failover| &failover.versions);
        let other = |other: &FailoverVersion<'_>| {
            let version = Version { destination: Arc::clone(other.destination), cluster: other.cluster.into() };
            (version, other.response_headers.clone())
        };
        let settings = forward.accrual.filter(|_| ticker.is_running());
        let in_flight = settings.and_then(|settings| {
            // If the service as a whole was picked, each version is a valid answer.
            let is_version = forward.destination.subset.is_some();
            let awaited = settings.slow_after.map(|_| AwaitedVersion {
                cluster: cluster.into(),
                failover: forward.failover.as_ref().map(|failover| failover.cluster.into()),
                others: others.clone().filter(|_| is_version).map(|other| Arc::clone(other.destination)).collect(),
            });
            let request = NewRequest { cluster, destination: forward.destination, settings, awaited };
            health.requests.send(request, stream, delay.unwrap_or_default())
        });
        Some(Self {
            began: health.last_tick(),
            failover: forward.failover.as_ref().map(|failover| failover.cluster.into()),
            others: others.map(other).collect(),
            failover_failure: forward.failover_failure,
            reason: forward.reason,
            route: Arc::clone(&route.name),
            client: in_flight.as_ref().map(|_| client()).unwrap_or_default(),
            in_flight,
            version,
        })
    }

    /// The client has sent the whole request.
    pub(crate) fn complete(&mut self) {
        self.client.is_complete = true;
        if let Some(in_flight) = self.in_flight.as_ref().filter(|_| !self.client.is_large) {
            in_flight.wait();
        }
    }

    /// The answer has begun, or there will be none. Returns the version that answered, if it is not the picked one.
    /// Costs one property with failover clusters, and two if istiod wrote the endpoints' metadata.
    pub(crate) fn answered(&mut self, host: &impl Host, health: &VmHealth) -> Result<Option<ServedBy>, HostError> {
        if let Some(in_flight) = &self.in_flight {
            in_flight.answered();
        }
        let (Some(failover), Some(place)) = (&self.failover, self.find_served(host)?) else { return Ok(None) };
        // A native route that ignores the filter has sent the request elsewhere.
        if upstream::is_in(host, failover, None)? == Some(false) {
            return Ok(None);
        }
        let attempts = upstream::attempts(host)?;
        let attempts = usize::try_from(attempts).unwrap_or(usize::MAX);
        let reason = if attempts > 1 { FallbackReason::Failed } else { FallbackReason::NoEndpoints };
        let mut others = std::mem::take(&mut self.others);
        others.truncate(place.saturating_add(1));
        let Some((version, response)) = others.pop() else { return Ok(None) };
        let from = std::mem::replace(&mut self.version, version);
        // If there were as many tries as versions up to this one, each version was tried once. With fewer tries, some
        // version had no endpoint.
        let each_tried = attempts == place.saturating_add(2);
        self.record_skipped_failures(host, health, others.iter().map(|(version, _)| version), each_tried);
        Ok(Some(ServedBy { from: from.destination, reason, response }))
    }

    /// The index of the version that answered.
    fn find_served(&self, host: &impl Host) -> Result<Option<usize>, HostError> {
        // If the service as a whole was picked, any of its versions may answer.
        if self.others.is_empty() || self.version.destination.subset.is_none() {
            return Ok(None);
        }
        let Some(endpoint) = EndpointVersion::of_stream(host)? else { return Ok(None) };
        if endpoint.is(&self.version.destination) {
            return Ok(None);
        }
        Ok(self.others.iter().position(|(version, _)| endpoint.is(&version.destination)))
    }

    /// Counts failures of the versions that Envoy tried first. The request now belongs to the version that answered.
    fn record_skipped_failures<'v>(
        &mut self,
        host: &impl Host,
        health: &VmHealth,
        between: impl Iterator<Item = &'v Version>,
        each_tried: bool,
    ) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let settings = in_flight.settings();
        let send = |version: &Version| {
            let Version { cluster, destination } = version;
            // The request has an answer or has failed, so nothing waits for it.
            let request = NewRequest { cluster, destination, settings: &settings, awaited: None };
            let in_flight = health.requests.send(request, 0, Duration::ZERO);
            in_flight.inspect(InFlight::answered)
        };
        let (left, client) = (self.failover_failure, self.client);
        let have_failed = if client.is_grpc { left.grpc } else { left.http };
        // The cause may be the client's own time limit, the size of its headers, or an incomplete body.
        let is_clients = client.has_deadline || client.is_large || left.repeats && !client.is_complete;
        if each_tried && have_failed && !is_clients {
            let fail = |in_flight: &InFlight| {
                if in_flight.would_change(Verdict::Failure) {
                    in_flight.record(host, Verdict::Failure);
                }
            };
            fail(&in_flight);
            between.filter_map(send).for_each(|in_flight| fail(&in_flight));
        }
        self.in_flight = send(&self.version);
    }
}

/// Some servers reject larger headers, in bytes. 8 KiB is the limit of Apache, nginx and Tomcat.
const LARGE_HEADERS: usize = 8 * 1024;

impl ClientFactors {
    /// For a request whose version has failure accrual.
    pub(crate) fn of(head: &RequestHead<'_>, has_deadline: bool, headers: &impl Pairs) -> Self {
        let size = headers
            .pairs()
            .fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()));
        Self { is_grpc: is_grpc(head), has_deadline, is_large: size > LARGE_HEADERS, is_complete: false }
    }
}

/// The same test as Envoy's. gRPC-Web does not count, because it has its status in the body.
fn is_grpc(head: &RequestHead<'_>) -> bool {
    let rest = head.content_type().and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}
