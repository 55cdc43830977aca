//! The second role: right before the router, after a native filter that refreshes the route, the guard sees which cluster
//! the request is about to go to, and moves it to another version if that one cannot serve.
//!
//! Nothing refreshes the route after the guard, so it cannot look at where it moves a request to: it takes a version that
//! has served a short time ago, else the default, once. A second guard, after another filter that refreshes the route, looks
//! at where the first has moved a request to, and may move it once more. What a guard finds is known to the first filter: an
//! empty cluster from then on, a missing one from the end of the request on.

use std::cell::Cell;
use std::rc::Rc;

use canary_routing::config::Endpoints;
use canary_routing::route::Destination;
use canary_routing::{Availability, Decision, FallbackReason, FaultScope, Outcome, RouteTable};
use sdk_shims::context::Action;
use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use crate::apply;
use crate::delays::{Ending, Pending};
use crate::explanation::Explanation;
use crate::fallbacks;
use crate::filter_state;
use crate::handover::{self, Applied, Found, Handover};
use crate::metrics::{self, DECISION_ERRORS, Version};
use crate::request::HostRequest;
use crate::response::ResponseChange;
use crate::sharing::{self, Snapshot};
use crate::ticker::Ticker;

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
    context: u32,
    /// What its own document says of the number of endpoints.
    endpoints: Option<Endpoints>,
    ticker: Rc<Ticker>,
    delay: Option<Pending>,
}

impl Guard {
    pub(crate) const fn new(context: u32, endpoints: Option<Endpoints>, ticker: Rc<Ticker>) -> Self {
        Self { context, endpoints, ticker, delay: None }
    }

    pub(crate) fn on_request_headers(&mut self) -> Action {
        let action = handover::find().and_then(|found| match found {
            Found::Nothing => Ok(Action::Continue),
            Found::Elsewhere => {
                tell("the filter before the guard runs in another VM; both need the same vm_id, code and VM configuration");
                Ok(Action::Continue)
            }
            Found::Here(handover) => match handover.take() {
                Some(applied) => self.guard(&handover, applied),
                None => Ok(Action::Continue),
            },
        });
        action.unwrap_or_else(|error| {
            log::error!("{error}: the guard lets the request pass");
            metrics::count(&DECISION_ERRORS, &[]);
            Action::Continue
        })
    }

    /// Moves the request if its cluster cannot serve, and carries out the faults of the version that serves.
    fn guard(&mut self, handover: &Handover, applied: Applied) -> Result<Action, HostError> {
        let request = HostRequest::new(&applied.request);
        let unavailable = self.judge(&handover.cluster.borrow(), &applied.table)?;
        let is_moved = match unavailable {
            Some(reason) => give_way(handover, &applied, &request, reason)?,
            None => false,
        };
        let decide = |faults, available: &dyn Availability| {
            applied.table.decide_within(faults, &request, &applied.draws, available)
        };
        let faults =
            applied.leaves_faults.then(|| decide(FaultScope::AtGuard, &Only(handover.cluster.borrow().clone())));
        let is_new = is_moved || applied.leaves_faults;
        // A guard before may have carried out the faults of versions.
        let scope = if applied.leaves_faults { FaultScope::All } else { FaultScope::BeforeGuard };
        let explained = (is_new && applied.is_explained).then(|| {
            let choice = Choice::new(handover, &applied);
            decide(scope, if is_moved { &choice } else { &applied.known })
        });
        let explanation = explained.and_then(|decision| Explanation::of(&decision, &applied.table));
        let action = self.carry_out(faults, explanation, handover, &applied.table);
        if is_moved {
            handover.give_back(Applied { leaves_faults: false, ..applied });
        }
        Ok(action)
    }

    fn carry_out(
        &mut self,
        faults: Option<Decision<'_>>,
        explanation: Option<Explanation>,
        handover: &Handover,
        table: &RouteTable,
    ) -> Action {
        let version = handover.version.get();
        if let Some((version, faults)) = version.zip(faults.as_ref()) {
            version.count_abort(faults);
        }
        let (delay, outcome) = faults.map_or((None, Outcome::Untouched), |faults| (faults.delay, faults.outcome));
        let mut ending = match outcome {
            Outcome::LocalReply(reply) => {
                handover.response.take();
                Ending::Reply(reply)
            }
            Outcome::Forward(_) | Outcome::Untouched => Ending::Resume,
        };
        if let Some(explanation) = explanation {
            explanation.join(&mut ending, &mut handover.response.borrow_mut());
        }
        let Some(delay) = delay else { return ending.at_once() };
        handover.postpone(delay);
        match Pending::begin(self.context, delay, ending, table.faults().max_active, &self.ticker) {
            Ok(pending) => {
                if let Some(version) = version {
                    version.count_delay();
                }
                self.delay = Some(pending);
                Action::Pause
            }
            Err(ending) => ending.at_once(),
        }
    }

    /// Why the cluster that the request is about to go to cannot serve.
    fn judge(&self, cluster: &str, table: &RouteTable) -> Result<Option<FallbackReason>, HostError> {
        let Some(resolved) = host::property(&CLUSTER_NAME)? else { return Ok(Some(FallbackReason::MissingCluster)) };
        if resolved != cluster.as_bytes() {
            tell(
                "the route leads elsewhere than the filter says; the guard needs a native filter that refreshes the route before it",
            );
            return Ok(None);
        }
        let endpoints = self.endpoints.or(table.guard().endpoints).unwrap_or_default();
        if endpoints == Endpoints::Ignored {
            return Ok(None);
        }
        let count = host::property(&ENDPOINTS)?;
        let count = count.and_then(|count| count.try_into().ok()).map(u64::from_le_bytes);
        let is_empty = match (count, endpoints) {
            (Some(0), Endpoints::Trusted) => true,
            (Some(0), _) => sharing::look(|knowledge| knowledge.is_populated(cluster)),
            (Some(_), Endpoints::Learned) => {
                sharing::note(|knowledge| knowledge.populate(cluster));
                false
            }
            (Some(_) | None, _) => false,
        };
        Ok(is_empty.then_some(FallbackReason::NoEndpoints))
    }
}

fn tell(what: &str) {
    if !TOLD.replace(true) {
        log::warn!("{what}: requests pass unguarded (said once)");
    }
}

/// The request is on its way to this cluster, whatever others can do: the decision that was applied.
struct Only(String);

impl Availability for Only {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        (cluster != self.0).then_some(FallbackReason::MissingCluster)
    }
}

/// What the guard may choose from: what could serve when the request was decided and can still, and what has served since.
struct Choice<'a> {
    handover: &'a Handover,
    then: &'a Snapshot,
    now: Snapshot,
}

impl<'a> Choice<'a> {
    fn new(handover: &'a Handover, applied: &'a Applied) -> Self {
        Self { handover, then: &applied.known, now: sharing::snapshot() }
    }
}

impl Availability for Choice<'_> {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        let is_known = self.handover.left(cluster).or_else(|| self.now.unavailable(cluster));
        is_known.or_else(|| self.then.unavailable(cluster).filter(|_| !self.is_proven(cluster)))
    }

    fn is_proven(&self, cluster: &str) -> bool {
        sharing::look(|knowledge| knowledge.is_proven(cluster))
    }
}

/// Moves a request from a cluster that cannot serve, if another can: to a version that has proven itself or the default,
/// else to one of which nothing is known, else to one that is merely ejected. Whether it has.
fn give_way(
    handover: &Handover,
    applied: &Applied,
    request: &HostRequest<'_>,
    reason: FallbackReason,
) -> Result<bool, HostError> {
    leave(handover, reason);
    let current = host::request_headers()?;
    let table = &*applied.table;
    let way =
        |available: &dyn Availability| table.decide_within(FaultScope::Nothing, request, &applied.draws, available);
    let abandoned = way(&Only(handover.cluster.borrow().clone()));
    let chosen = way(&Choice::new(handover, applied));
    match (&abandoned.outcome, &chosen.outcome) {
        (Outcome::Forward(from), Outcome::Forward(to)) if handover.left(&to.cluster).is_none() => {
            fallbacks::count(&to.destination, from.destination.subset.as_deref(), reason);
        }
        _ => return Ok(false),
    }
    apply::replace(&abandoned, &chosen, request, &current, table);
    if let Outcome::Forward(mut forward) = chosen.outcome {
        tell_of_move(handover, &forward.destination, table);
        let response = std::mem::take(&mut forward.response_headers);
        handover.response.replace(ResponseChange::of_forward(response));
        handover.redirect(*forward);
    }
    Ok(true)
}

/// Notes that the request's cluster cannot serve. That a route has no cluster is borne out by the end of the request: a
/// native route that answers by itself has none either.
fn leave(handover: &Handover, reason: FallbackReason) {
    let cluster = handover.cluster.borrow().clone();
    let mut down = if handover.ticker.is_running() { sharing::down(&cluster, reason) } else { None };
    if let Some(down) = down.take_if(|down| down.reason == FallbackReason::NoEndpoints) {
        sharing::note(|knowledge| knowledge.learn(&cluster, down));
    }
    handover.leave(reason, down);
}

/// Tells metrics, access logs and traces which version serves instead.
fn tell_of_move(handover: &Handover, to: &Destination, table: &RouteTable) {
    if handover.version.get().is_some() {
        handover.version.set(Some(Version::of(&to.host, to.subset.as_deref())));
    }
    if table.filter_state().enabled {
        filter_state::tell_version(to.subset.as_deref());
    }
}
