//! The second role: right before the router, after a native filter that refreshes the route, the guard sees which cluster
//! the request is about to go to, and moves it to another version if that one cannot serve.
//!
//! Nothing refreshes the route after the guard, so it cannot look at where it moves a request to: it takes a version that
//! has served a short time ago, else the default, once. What it finds is known to the first filter from then on.

use std::cell::Cell;

use canary_routing::config::Endpoints;
use canary_routing::{Availability, Decision, FallbackReason, Outcome};
use sdk_shims::host::{self, HostError};
use sdk_shims::log;
use sdk_shims::traits::{Context, HttpContext};
use sdk_shims::types::Action;

use crate::apply;
use crate::delays::Ending;
use crate::fallbacks;
use crate::handover::{self, Found, Handover};
use crate::request::HostRequest;
use crate::response::ResponseChange;
use crate::sharing::{self, Snapshot};

const CLUSTER_NAME: [&str; 2] = ["xds", "cluster_name"];
const ENDPOINTS: [&str; 2] = ["upstream", "num_endpoints"];

thread_local! {
    /// Whether it has been said that the guard cannot do its work here. A VM is one thread.
    static TOLD: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what the VM said that this thread had before.
pub(crate) fn init() {
    TOLD.set(false);
}

/// A request at the guard.
pub(crate) struct Guard {
    /// What its own document says of the number of endpoints.
    endpoints: Option<Endpoints>,
}

impl Guard {
    pub(crate) const fn new(endpoints: Option<Endpoints>) -> Self {
        Self { endpoints }
    }

    /// Why the cluster that the request is about to go to cannot serve.
    fn judge(&self, handover: &Handover) -> Result<Option<FallbackReason>, HostError> {
        let cluster = handover.cluster.borrow();
        let Some(resolved) = host::property(&CLUSTER_NAME)? else { return Ok(Some(FallbackReason::MissingCluster)) };
        if resolved != cluster.as_bytes() {
            tell(
                "the route leads elsewhere than the filter says; the guard needs a native filter that refreshes the route before it",
            );
            return Ok(None);
        }
        let endpoints = self.endpoints.or(handover.table.guard().endpoints).unwrap_or_default();
        if endpoints == Endpoints::Ignored {
            return Ok(None);
        }
        let count = host::property(&ENDPOINTS)?;
        let count = count.and_then(|count| count.try_into().ok()).map(u64::from_le_bytes);
        let is_empty = match (count, endpoints) {
            (Some(0), Endpoints::Trusted) => true,
            (Some(0), _) => sharing::look(|knowledge| knowledge.is_populated(&cluster)),
            (Some(_), Endpoints::Learned) => {
                sharing::note(|knowledge| knowledge.populate(&cluster));
                false
            }
            (Some(_) | None, _) => false,
        };
        Ok(is_empty.then_some(FallbackReason::NoEndpoints))
    }
}

impl Context for Guard {}

impl HttpContext for Guard {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let judged = handover::find().and_then(|found| match found {
            Found::Nothing => Ok(None),
            Found::Elsewhere => {
                tell("the filter before the guard runs in another VM; both need the same vm_id, code and VM configuration");
                Ok(None)
            }
            Found::Here(handover) => Ok(self.judge(&handover)?.map(|reason| (handover, reason))),
        });
        match judged {
            Ok(None) => Action::Continue,
            Ok(Some((handover, reason))) => give_way(&handover, reason),
            Err(error) => {
                log::error!("{error}: the guard lets the request pass");
                Action::Continue
            }
        }
    }
}

fn tell(what: &str) {
    if !TOLD.replace(true) {
        log::warn!("{what}: requests pass unguarded (said once)");
    }
}

/// What the guard may choose from: versions that have served a short time ago.
struct Proven {
    known: Snapshot,
    /// Why the others cannot.
    reason: FallbackReason,
    /// Ejected ones serve where even the default cannot.
    takes_ejected: bool,
}

impl Availability for Proven {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        match self.known.unavailable(cluster) {
            Some(FallbackReason::Ejected) if !self.takes_ejected => Some(self.reason),
            Some(known) => Some(known),
            None => (!sharing::look(|knowledge| knowledge.is_proven(cluster))).then_some(self.reason),
        }
    }
}

/// The decision in place of one whose cluster cannot serve: for a version that has proven itself, else for the default, else
/// for one that is merely ejected.
fn decide_again<'t>(handover: &'t Handover, request: &HostRequest<'_>, reason: FallbackReason) -> Decision<'t> {
    let known = sharing::snapshot();
    let decide = |takes_ejected| {
        let proven = Proven { known: known.clone(), reason, takes_ejected };
        handover::decide(&handover.table, request, &handover.draws, &proven)
    };
    let decision = decide(false);
    let cannot_serve = |cluster: &str| {
        known.unavailable(cluster).is_some_and(|why| why != FallbackReason::Ejected)
            || *handover.cluster.borrow() == cluster
    };
    match &decision.outcome {
        Outcome::Forward(forward) if cannot_serve(&forward.cluster) => decide(true),
        _ => decision,
    }
}

/// Moves a request from a cluster that cannot serve. The abandoned version's delay has happened already; the delay of the
/// version that serves does not happen any more, its abort does.
fn give_way(handover: &Handover, reason: FallbackReason) -> Action {
    let table = &*handover.table;
    if handover.ticker.is_running() {
        sharing::learn(&handover.cluster.borrow(), reason);
    }
    let current = match host::request_headers() {
        Ok(current) => current,
        Err(error) => {
            log::error!("{error}: the guard lets the request pass");
            return Action::Continue;
        }
    };
    let request = HostRequest::new(&handover.request);
    let abandoned = handover::decide(table, &request, &handover.draws, &handover.known);
    let mut decision = decide_again(handover, &request, reason);
    if let (Outcome::Forward(from), Outcome::Forward(to)) = (&abandoned.outcome, &decision.outcome) {
        if from.cluster == to.cluster {
            return Action::Continue;
        }
        fallbacks::count(&to.destination, from.destination.subset.as_deref(), reason);
    }
    // The fault filter is behind: aborts are the guard's own to carry out.
    let abort = decision.abort.take();
    decision.delay = None;
    apply::replace(&abandoned, &decision, &request, &current, table);
    match decision.outcome {
        Outcome::Forward(forward) => {
            let mut forward = *forward;
            let response = std::mem::take(&mut forward.response_headers);
            handover.response.replace(ResponseChange::of_forward(response));
            handover.redirect(forward);
            Action::Continue
        }
        Outcome::LocalReply(reply) if abort.is_some() => {
            handover.response.take();
            Ending::Reply(reply).at_once()
        }
        Outcome::LocalReply(_) | Outcome::Untouched => Action::Continue,
    }
}
