//! What the filter leaves for the guard of the same stream, inside the VM that both run in.
//!
//! The stream carries a token as a property; what it stands for never leaves the VM. Only streams whose version another
//! may stand in for are handed over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use canary_routing::{Availability, Decision, Draws, Forward, RouteTable};
use sdk_shims::entropy;
use sdk_shims::host::{self, HostError, Pairs};

use crate::flight::Flight;
use crate::request::HostRequest;
use crate::response::ResponseChange;
use crate::sharing::Snapshot;
use crate::ticker::Ticker;

/// The property with the token.
const PROPERTY: &str = "canary_stream";

/// A decision that was applied, as what it takes to make it again: the same request, draws and knowledge give the same one.
pub(crate) struct Handover {
    pub(crate) table: Rc<RouteTable>,
    pub(crate) ticker: Rc<Ticker>,
    /// The request's headers as the client sent them.
    pub(crate) request: Pairs,
    pub(crate) draws: Draws,
    pub(crate) known: Snapshot,
    /// The cluster that the request is on its way to.
    pub(crate) cluster: RefCell<String>,
    /// Where the failures of its version count.
    pub(crate) flight: RefCell<Option<Flight>>,
    /// Whether the client has sent all of the request.
    pub(crate) is_complete: Cell<bool>,
    /// Changes of the response that are due.
    pub(crate) response: RefCell<Vec<ResponseChange>>,
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

impl Handover {
    /// The request goes elsewhere, under nobody's delay.
    pub(crate) fn redirect(&self, forward: Forward<'_>) {
        let flight = if self.ticker.is_running() { Flight::begin(&forward, None) } else { None };
        self.flight.replace(flight);
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
}

thread_local! {
    /// By the contexts of the first filter. A VM is one thread, so these are the VM's.
    static HANDOVERS: RefCell<HashMap<u32, Rc<Handover>>> = RefCell::default();
    /// Tells this VM's tokens from those of others.
    static VM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Forgets the VM that this thread had before.
pub(crate) fn init() {
    HANDOVERS.take();
    VM.set(None);
}

/// The decision, compiled once for both roles.
pub(crate) fn decide<'t>(
    table: &'t RouteTable,
    request: &HostRequest<'_>,
    draws: &Draws,
    available: &dyn Availability,
) -> Decision<'t> {
    table.decide_among(request, draws, available)
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
