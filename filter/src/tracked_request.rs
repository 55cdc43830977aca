//! A request whose version another may replace: which version answers it, and what its end says of that version.

use std::sync::Arc;
use std::time::Duration;

use canary_routing::accrual::Verdict;
use canary_routing::{
    Destination, FallbackReason, Forward, HeaderChanges, LeftFailed, Other, Reason, RequestHead, Route,
};

use crate::health::{Awaited, InFlight, KnownHealth, Sending};
use crate::host::{Host, HostError, Pairs};
use crate::ticker::Ticker;
use crate::upstream::{self, EndpointVersion};

/// A request on its way to a version that another may replace.
pub(crate) struct TrackedRequest {
    /// When the stream began, to the tick.
    pub(crate) began: u64,
    /// The version that was picked, or that has answered in its place.
    pub(crate) version: Version,
    /// The failover cluster, if the proxy has one.
    pub(crate) failover: Option<Box<str>>,
    /// The versions that Envoy tries after the picked one, each with the changes of its responses.
    others: Vec<(Version, HeaderChanges)>,
    /// Whether the versions that were left have failed.
    left_failed: LeftFailed,
    /// Why the picked version was picked, and by which route.
    pub(crate) reason: Reason,
    pub(crate) route: Arc<str>,
    /// Where the failures of its version count.
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) client: ClientPart,
}

/// A version and its cluster.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) destination: Arc<Destination>,
    pub(crate) cluster: Box<str>,
}

/// What may make a request fail that is not its version's doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientPart {
    /// Whether a response's gRPC status is one.
    pub(crate) is_grpc: bool,
    /// The client has set limits of its own: of time, or what is to be tried again.
    pub(crate) has_deadline: bool,
    /// Its headers are more than some servers take.
    pub(crate) is_large: bool,
    /// The client has sent all of the request.
    pub(crate) is_complete: bool,
}

/// A version that has answered in the place of another.
pub(crate) struct Served {
    pub(crate) from: Arc<Destination>,
    pub(crate) reason: FallbackReason,
    /// The changes of its response.
    pub(crate) response: HeaderChanges,
}

impl TrackedRequest {
    /// A request goes where a decision says, after this delay. `None` where no other version can replace its version, or the name
    /// of its cluster is made of what the client has sent: nothing is kept under such names.
    pub(crate) fn new(
        health: &KnownHealth,
        ticker: &Ticker,
        (forward, route): (&Forward<'_>, &Route),
        (stream, delay): (u32, Option<Duration>),
        client: impl FnOnce() -> ClientPart,
    ) -> Option<Self> {
        let std::borrow::Cow::Borrowed(cluster) = forward.cluster else { return None };
        if !forward.has_alternative {
            return None;
        }
        let version = Version { destination: Arc::clone(forward.destination), cluster: cluster.into() };
        let others = forward.failover.iter().flat_map(|failover| &failover.others);
        let other = |other: &Other<'_>| {
            let version = Version { destination: Arc::clone(other.destination), cluster: other.cluster.into() };
            (version, other.response_headers.clone())
        };
        let settings = forward.accrual.filter(|_| ticker.is_running());
        let in_flight = settings.and_then(|settings| {
            // Where the service as a whole was picked, each of its versions is its own.
            let is_version = forward.destination.subset.is_some();
            let awaited = settings.slow_after.map(|_| Awaited {
                cluster: cluster.into(),
                failover: forward.failover.as_ref().map(|failover| failover.cluster.into()),
                others: others.clone().filter(|_| is_version).map(|other| Arc::clone(other.destination)).collect(),
            });
            let sending = Sending { cluster, destination: forward.destination, settings, awaited };
            health.requests.send(sending, stream, delay.unwrap_or_default())
        });
        Some(Self {
            began: health.last_tick(),
            failover: forward.failover.as_ref().map(|failover| failover.cluster.into()),
            others: others.map(other).collect(),
            left_failed: forward.left_failed,
            reason: forward.reason,
            route: Arc::clone(&route.name),
            client: in_flight.as_ref().map(|_| client()).unwrap_or_default(),
            in_flight,
            version,
        })
    }

    /// The client has sent all of the request.
    pub(crate) fn complete(&mut self) {
        self.client.is_complete = true;
        if let Some(in_flight) = self.in_flight.as_ref().filter(|_| !self.client.is_large) {
            in_flight.wait();
        }
    }

    /// The answer has begun, or none will come: the version that has answered, if it is not the one that was picked. Costs one
    /// property where the proxy has failover clusters, two where its endpoints are istiod's.
    pub(crate) fn answered(&mut self, host: &impl Host, health: &KnownHealth) -> Result<Option<Served>, HostError> {
        if let Some(in_flight) = &self.in_flight {
            in_flight.answered();
        }
        let (Some(failover), Some(place)) = (&self.failover, self.find_served(host)?) else { return Ok(None) };
        // A native route that does not follow the filter has sent it elsewhere.
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
        // With as many tries as there are versions up to this one each of them was tried once, where nobody answers a try in vain;
        // with fewer, some had no endpoint.
        let is_tried = attempts == place.saturating_add(2);
        self.judge_left(host, health, others.iter().map(|(version, _)| version), is_tried);
        Ok(Some(Served { from: from.destination, reason, response }))
    }

    /// The place of the version that has answered among the others.
    fn find_served(&self, host: &impl Host) -> Result<Option<usize>, HostError> {
        // Where the service as a whole was picked, each of its versions may answer.
        if self.others.is_empty() || self.version.destination.subset.is_none() {
            return Ok(None);
        }
        let Some(endpoint) = EndpointVersion::of_stream(host)? else { return Ok(None) };
        if endpoint.is(&self.version.destination) {
            return Ok(None);
        }
        Ok(self.others.iter().position(|(version, _)| endpoint.is(&version.destination)))
    }

    /// Counts the failures of the versions that were tried in vain; from now on the request says something of the version that
    /// has answered.
    fn judge_left<'v>(
        &mut self,
        host: &impl Host,
        health: &KnownHealth,
        between: impl Iterator<Item = &'v Version>,
        are_tried: bool,
    ) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let settings = in_flight.settings();
        let send = |version: &Version| {
            let Version { cluster, destination } = version;
            // It has answered or failed: nothing waits.
            let sending = Sending { cluster, destination, settings: &settings, awaited: None };
            let in_flight = health.requests.send(sending, 0, Duration::ZERO);
            in_flight.inspect(InFlight::answered)
        };
        let (left, client) = (self.left_failed, self.client);
        let have_failed = if client.is_grpc { left.grpc } else { left.http };
        // A client's own limit for a try may have ended it, the size of its headers, or a body that does not come.
        let is_clients = client.has_deadline || client.is_large || left.repeats && !client.is_complete;
        if are_tried && have_failed && !is_clients {
            let fail = |in_flight: &InFlight| {
                if in_flight.wants(Verdict::Failure) {
                    in_flight.record(host, Verdict::Failure);
                }
            };
            fail(&in_flight);
            between.filter_map(send).for_each(|in_flight| fail(&in_flight));
        }
        self.in_flight = send(&self.version);
    }
}

/// Headers of more bytes than this are more than some servers take: 8 KiB is the limit of Apache, nginx and Tomcat.
const LARGE: usize = 8 * 1024;

impl ClientPart {
    /// Of a request whose version is watched by its failures.
    pub(crate) fn of(head: &RequestHead<'_>, has_deadline: bool, headers: &impl Pairs) -> Self {
        let size = headers
            .pairs()
            .fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()));
        Self { is_grpc: is_grpc(head), has_deadline, is_large: size > LARGE, is_complete: false }
    }
}

/// Envoy's own test: gRPC-Web, among others, carries its status in the body.
fn is_grpc(head: &RequestHead<'_>) -> bool {
    let rest = head.content_type().and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}
