//! What the filter leaves for the guard of the same stream, inside the VM that both run in.
//!
//! The stream carries a token as a property; what it stands for never leaves the VM. Only streams whose version another
//! may stand in for are handed over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use canary_routing::{Draws, FallbackReason, Forward, RouteTable};
use sdk_shims::entropy;
use sdk_shims::host::{self, HostError, Pairs};

use crate::flight::Flight;
use crate::knowledge::Down;
use crate::metrics::Version;
use crate::response::ResponseChange;
use crate::sharing::{self, Snapshot};
use crate::ticker::Ticker;

/// The property with the token.
const PROPERTY: &str = "canary_stream";

/// A stream that a guard may see.
pub(crate) struct Handover {
    pub(crate) ticker: Rc<Ticker>,
    guarded: Rc<Guarded>,
    /// Until a guard has passed the stream on where it was going, or its response has come: streams may last, and header
    /// maps may be large.
    applied: RefCell<Option<Applied>>,
    /// Whether a guard has seen the stream.
    is_guarded: Cell<bool>,
    /// When the stream began, to the tick.
    pub(crate) began: u64,
    /// Clusters that guards have found unable to serve the request.
    left: RefCell<Vec<Left>>,
    /// The cluster that the request is on its way to.
    pub(crate) cluster: RefCell<String>,
    /// The version that the request is counted for; `None` where it is not counted.
    pub(crate) version: Cell<Option<Version>>,
    /// Where the failures of its version count.
    pub(crate) flight: RefCell<Option<Flight>>,
    /// Whether a response's gRPC status is one.
    pub(crate) is_grpc: bool,
    /// Whether the client has sent all of the request.
    is_complete: Cell<bool>,
    /// Changes of the response that are due.
    pub(crate) response: RefCell<Vec<ResponseChange>>,
}

/// A cluster that a guard has found unable to serve a request.
pub(crate) struct Left {
    pub(crate) cluster: String,
    pub(crate) reason: FallbackReason,
    /// What is to be noted of it if the end of the request bears it out.
    pub(crate) untold: Option<Down>,
}

/// A decision that was applied, as what it takes to make it again: the same request, draws and knowledge give the same one.
pub(crate) struct Applied {
    pub(crate) table: Rc<RouteTable>,
    /// The request's headers as the client sent them.
    pub(crate) request: Pairs,
    pub(crate) draws: Draws,
    pub(crate) known: Snapshot,
    /// Whether faults are left to the guard.
    pub(crate) leaves_faults: bool,
    /// Whether the client is told why.
    pub(crate) is_explained: bool,
}

/// Whether a guard stands behind a filter. Where the VM has one it is expected to, until a request has come back that no
/// guard has seen.
#[derive(Default)]
pub(crate) struct Guarded {
    /// How many guards the VM had had when that happened.
    missed: Cell<u32>,
}

/// What a token stands for.
pub(crate) enum Found {
    /// Nothing was handed over.
    Nothing,
    /// Something was, in another VM.
    Elsewhere,
    /// The first filter's part.
    Here(Rc<Handover>),
}

/// A handover as long as its stream lives.
pub(crate) struct Registered(u32);

thread_local! {
    /// By the contexts of the first filter. A VM is one thread, so these are the VM's.
    static HANDOVERS: RefCell<HashMap<u32, Rc<Handover>>> = RefCell::default();
    /// Tells this VM's tokens from those of others.
    static VM: Cell<Option<u64>> = const { Cell::new(None) };
    /// How often a guard has been configured in this VM.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
}

/// Forgets the VM that this thread had before.
pub(crate) fn init() {
    HANDOVERS.take();
    VM.set(None);
    GUARDS.set(0);
}

/// A guard has been configured.
pub(crate) fn announce_guard() {
    GUARDS.set(GUARDS.get().saturating_add(1));
}

impl Guarded {
    /// Whether a guard will see the requests that are handed over.
    pub(crate) fn is_expected(&self) -> bool {
        GUARDS.get() > self.missed.get()
    }
}

impl Handover {
    pub(crate) fn new(
        ticker: Rc<Ticker>,
        guarded: Rc<Guarded>,
        applied: Applied,
        (cluster, flight): (String, Option<Flight>),
        version: Option<Version>,
        response: Vec<ResponseChange>,
    ) -> Self {
        Self {
            ticker,
            guarded,
            is_grpc: is_grpc(&applied.request),
            applied: RefCell::new(Some(applied)),
            is_guarded: Cell::new(false),
            began: sharing::last_tick(),
            left: RefCell::default(),
            cluster: RefCell::new(cluster),
            version: Cell::new(version),
            flight: RefCell::new(flight),
            is_complete: Cell::new(false),
            response: RefCell::new(response),
        }
    }

    /// The request goes elsewhere, under nobody's delay.
    pub(crate) fn redirect(&self, forward: Forward<'_>) {
        self.flight.replace(Flight::begin(&forward, None, &self.ticker));
        self.cluster.replace(forward.cluster.into_owned());
        if self.is_complete.get() {
            self.complete();
        }
    }

    /// The client has sent all of the request.
    pub(crate) fn complete(&self) {
        self.is_complete.set(true);
        if let Some(flight) = &*self.flight.borrow() {
            flight.wait();
        }
    }

    /// The answer has begun.
    pub(crate) fn answered(&self) {
        if let Some(flight) = &*self.flight.borrow() {
            flight.answered();
        }
    }

    /// An injected delay comes first.
    pub(crate) fn postpone(&self, delay: Duration) {
        if let Some(flight) = &*self.flight.borrow() {
            flight.postpone(delay);
        }
    }

    /// What was handed over, for the guard; `None` where another guard has passed the stream on.
    pub(crate) fn take(&self) -> Option<Applied> {
        self.guarded.missed.set(0);
        self.is_guarded.set(true);
        self.applied.take()
    }

    /// A guard has moved the request; another one may judge where to.
    pub(crate) fn give_back(&self, applied: Applied) {
        self.applied.replace(Some(applied));
    }

    /// The cluster that the request was on its way to cannot serve.
    pub(crate) fn leave(&self, reason: FallbackReason, untold: Option<Down>) {
        let cluster = self.cluster.borrow().clone();
        self.left.borrow_mut().push(Left { cluster, reason, untold });
    }

    /// Why a guard has left the cluster.
    pub(crate) fn left(&self, cluster: &str) -> Option<FallbackReason> {
        self.left.borrow().iter().find(|left| left.cluster == cluster).map(|left| left.reason)
    }

    /// The clusters that guards have left.
    pub(crate) fn take_left(&self) -> Vec<Left> {
        self.left.take()
    }

    /// The response has come: no guard will see the request any more. `was_routed` says whether it has got as far as the
    /// router, in front of which a guard would have stood.
    pub(crate) fn close(&self, was_routed: impl FnOnce() -> bool) {
        let is_unseen = self.applied.take().is_some() && !self.is_guarded.get();
        if is_unseen && self.guarded.is_expected() && was_routed() {
            self.guarded.missed.set(GUARDS.get());
        }
    }
}

/// Envoy's own test: gRPC-Web, among others, carries its status in the body.
fn is_grpc(request: &Pairs) -> bool {
    let kind = request.lines("content-type").next().unwrap_or_default();
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// Hands the running stream over.
pub(crate) fn register(context: u32, handover: Rc<Handover>) -> Result<Registered, HostError> {
    let mut token = vm().to_le_bytes().to_vec();
    token.extend_from_slice(&context.to_le_bytes());
    host::set_property(PROPERTY, &token)?;
    HANDOVERS.with_borrow_mut(|handovers| handovers.insert(context, handover));
    Ok(Registered(context))
}

/// What was handed over for the running stream.
pub(crate) fn find() -> Result<Found, HostError> {
    let Some(token) = host::property(&[PROPERTY])? else { return Ok(Found::Nothing) };
    let own = token.strip_prefix(&vm().to_le_bytes()).and_then(|context| context.try_into().ok());
    let context = own.map(u32::from_le_bytes);
    let handover = context.and_then(|context| HANDOVERS.with_borrow(|handovers| handovers.get(&context).cloned()));
    Ok(handover.map_or(Found::Elsewhere, Found::Here))
}

fn vm() -> u64 {
    VM.get().unwrap_or_else(|| {
        let vm = entropy::draw();
        VM.set(Some(vm));
        vm
    })
}

impl Drop for Registered {
    fn drop(&mut self) {
        // It fails where the thread is about to end; then so do the handovers.
        let _ended_with_the_thread = HANDOVERS.try_with(|handovers| handovers.borrow_mut().remove(&self.0));
    }
}
