//! A request whose version another may replace: its end says something of the version.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use canary_routing::{DestinationId, FallbackReason, Forward};

use crate::apply::ResponseChanges;
use crate::health::{Down, InFlight, KnownHealth};
use crate::ticker::Ticker;

/// A request on its way to a version that another may replace.
pub(crate) struct TrackedRequest {
    pub(crate) ticker: Rc<Ticker>,
    /// When the stream began, to the tick.
    pub(crate) began: u64,
    /// The cluster that the request is on its way to.
    pub(crate) cluster: RefCell<String>,
    /// The destination that the request is counted for; `None` where it is not counted.
    pub(crate) destination: Cell<Option<DestinationId>>,
    /// Where the failures of its version count.
    pub(crate) in_flight: RefCell<Option<InFlight>>,
    /// Whether a response's gRPC status is one.
    pub(crate) is_grpc: bool,
    /// Whether the client has sent all of the request.
    is_complete: Cell<bool>,
    /// Changes of the response that are due.
    pub(crate) response: RefCell<ResponseChanges>,
    /// Clusters that guards have found unable to serve the request.
    left: RefCell<Vec<LeftCluster>>,
}

/// A cluster that a guard has found unable to serve a request.
pub(crate) struct LeftCluster {
    pub(crate) cluster: String,
    pub(crate) reason: FallbackReason,
    /// What is to be noted of it if the end of the request bears it out.
    pub(crate) down: Option<Down>,
}

impl TrackedRequest {
    /// A request goes where a decision says, after this delay.
    pub(crate) fn new(
        health: &KnownHealth,
        ticker: &Rc<Ticker>,
        (forward, delay): (&Forward<'_>, Option<Duration>),
        content_type: Option<&[u8]>,
    ) -> Self {
        Self {
            ticker: Rc::clone(ticker),
            began: health.last_tick(),
            cluster: RefCell::new(forward.cluster.clone().into_owned()),
            destination: Cell::default(),
            in_flight: RefCell::new(send(health, ticker, (forward, delay))),
            is_grpc: is_grpc(content_type.unwrap_or_default()),
            is_complete: Cell::default(),
            response: RefCell::default(),
            left: RefCell::default(),
        }
    }

    /// The request goes elsewhere, under nobody's delay.
    pub(crate) fn redirect(&self, health: &KnownHealth, forward: &Forward<'_>) {
        self.in_flight.replace(send(health, &self.ticker, (forward, None)));
        self.cluster.replace(forward.cluster.clone().into_owned());
        if self.is_complete.get() {
            self.complete();
        }
    }

    /// The client has sent all of the request.
    pub(crate) fn complete(&self) {
        self.is_complete.set(true);
        if let Some(in_flight) = &*self.in_flight.borrow() {
            in_flight.wait();
        }
    }

    /// The answer has begun.
    pub(crate) fn answered(&self) {
        if let Some(in_flight) = &*self.in_flight.borrow() {
            in_flight.answered();
        }
    }

    /// An injected delay comes first.
    pub(crate) fn postpone(&self, delay: Duration) {
        if let Some(in_flight) = &*self.in_flight.borrow() {
            in_flight.postpone(delay);
        }
    }

    /// The cluster that the request was on its way to cannot serve.
    pub(crate) fn leave(&self, reason: FallbackReason, down: Option<Down>) {
        let cluster = self.cluster.borrow().clone();
        self.left.borrow_mut().push(LeftCluster { cluster, reason, down });
    }

    /// Why a guard has left the cluster.
    pub(crate) fn left(&self, cluster: &str) -> Option<FallbackReason> {
        self.left.borrow().iter().find(|left| left.cluster == cluster).map(|left| left.reason)
    }

    /// The clusters that guards have left.
    pub(crate) fn take_left(&self) -> Vec<LeftCluster> {
        self.left.take()
    }
}

/// Where the failures of the version count, if a policy watches them and a tick judges them.
fn send(health: &KnownHealth, ticker: &Ticker, (forward, delay): (&Forward<'_>, Option<Duration>)) -> Option<InFlight> {
    if ticker.is_running() { health.requests.send(forward, delay) } else { None }
}

/// Envoy's own test: gRPC-Web, among others, carries its status in the body.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}
