//! The second role: right before the router, after a native filter that refreshes the route, the guard sees which cluster
//! the request is about to go to, and moves it to another version if that one cannot serve.
//!
//! Nothing refreshes the route after the guard, so it cannot look at where it moves a request to: it takes a version that
//! has served a short time ago, else the default, once. A second guard, after another filter that refreshes the route, looks
//! at where the first has moved a request to, and may move it once more. What a guard finds is known to the first filter: an
//! empty cluster from then on, a missing one from the end of the request on.

use std::rc::Rc;

use canary_config::Endpoints;
use canary_routing::{Decision, DecisionInput, FallbackReason, FaultScope, Health, Outcome, RequestHead, RouteTable};

use crate::apply::{self, Ending, NextStep, ResponseChanges};
use crate::delays::PendingDelay;
use crate::guard::{Applied, Found, GuardContext};
use crate::health::{self, KnownHealth, Snapshot};
use crate::host::{Host, HostError, Pairs};
use crate::read::HostContext;
use crate::report::metrics::catalogue::DECISION_ERRORS;
use crate::report::metrics::{DestinationMetric, FaultKind};
use crate::report::{Explanation, fallbacks, filter_state};
use crate::ticker::Ticker;
use crate::tracked_request::TrackedRequest;
use crate::vm_state::VmState;

const CLUSTER_NAME: &str = "xds\0cluster_name";
const ENDPOINTS: &str = "upstream\0num_endpoints";

/// What the requests of one guard share.
pub(crate) struct GuardPlan {
    pub(crate) state: Rc<VmState>,
    /// What its own document says of the number of endpoints.
    pub(crate) endpoints: Option<Endpoints>,
    pub(crate) ticker: Rc<Ticker>,
}

/// A request at the guard.
pub(crate) struct GuardStream {
    id: u32,
    plan: Rc<GuardPlan>,
    delay: Option<PendingDelay>,
}

impl GuardStream {
    pub(crate) const fn new(id: u32, plan: Rc<GuardPlan>) -> Self {
        Self { id, plan, delay: None }
    }

    pub(crate) fn on_request_headers(&mut self, host: &impl Host) -> NextStep {
        let state = Rc::clone(&self.plan.state);
        let step = state.guards.find(host).and_then(|found| match found {
            Found::Nothing if state.guards.presence.has_filter() => Ok(NextStep::Continue),
            Found::Nothing | Found::Elsewhere => {
                state.log_limit.warn_unguarded(
                    "no filter with a fallback order runs before the guard in its VM; both need the same vm_id, code and VM configuration",
                );
                Ok(NextStep::Continue)
            }
            Found::Here(context) => match context.take() {
                Some(applied) => self.guard(host, &context, applied),
                None => Ok(NextStep::Continue),
            },
        });
        step.unwrap_or_else(|error| {
            log::error!("{error}: the guard lets the request pass");
            state.registry.count(host, &DECISION_ERRORS, &[]);
            NextStep::Continue
        })
    }

    /// Moves the request if its cluster cannot serve, and carries out the faults of the version that serves.
    fn guard(&mut self, host: &impl Host, context: &GuardContext, applied: Applied) -> Result<NextStep, HostError> {
        let plan = Rc::clone(&self.plan);
        let table = Rc::clone(&applied.table);
        let head = table.routes.read_head(applied.headers.pairs());
        let again = Again { context: &HostContext::new(host), applied: &applied, head: &head };
        let request = &*context.request;
        let unavailable = plan.judge(host, &request.cluster.borrow(), &table.routes)?;
        let is_moved = match unavailable {
            Some(reason) => fall_back(host, &plan.state, request, &again, reason)?,
            None => false,
        };
        let only = Only(request.cluster.borrow().clone());
        let faults = applied.leaves_faults.then(|| again.decide(FaultScope::AtGuard, &only));
        let is_new = is_moved || applied.leaves_faults;
        // A guard before may have carried out the faults of versions.
        let scope = if applied.leaves_faults { FaultScope::All } else { FaultScope::BeforeGuard };
        let explained = (is_new && applied.is_explained).then(|| {
            let choice = Choice::new(request, &applied.health, &plan.state.health);
            again.decide(scope, if is_moved { &choice } else { &applied.health })
        });
        let explanation = explained.and_then(|decision| Explanation::of(&decision, &table.routes));
        let step = self.carry_out(host, faults, explanation, request, &applied);
        // It borrows the headers that are given back.
        drop(head);
        if is_moved {
            context.give_back(Applied { leaves_faults: false, ..applied });
        }
        Ok(step)
    }

    fn carry_out(
        &mut self,
        host: &impl Host,
        faults: Option<Decision<'_>>,
        explanation: Option<Explanation>,
        request: &TrackedRequest,
        applied: &Applied,
    ) -> NextStep {
        let (state, table) = (&*self.plan.state, &*applied.table);
        let destination = request.destination.get();
        if let (Some(faults), Some(_)) = (&faults, destination) {
            table.series.count_abort(host, &state.registry, &table.routes, (destination, faults));
        }
        let (delay, outcome) = faults.map_or((None, Outcome::Untouched), |faults| (faults.delay, faults.outcome));
        let mut ending = match outcome {
            Outcome::LocalReply(reply) => {
                request.response.take();
                Ending::Reply(reply)
            }
            Outcome::Forward(_) | Outcome::Untouched => Ending::Resume,
        };
        if let Some(Explanation { name, text }) = explanation {
            ending.add_header(name, text.into_bytes(), &mut request.response.borrow_mut());
        }
        let Some(delay) = delay else { return ending.at_once(host, &state.registry) };
        request.postpone(delay);
        let with = (host, &state.registry, &*self.plan.ticker);
        match state.delays.begin(with, self.id, (delay, ending), table.routes.faults().max_active) {
            Ok(pending) => {
                if destination.is_some() {
                    let delay = (destination, DestinationMetric::Faults(FaultKind::Delay));
                    table.series.count(host, &state.registry, &table.routes, delay);
                }
                self.delay = Some(pending);
                NextStep::Pause
            }
            Err(ending) => ending.at_once(host, &state.registry),
        }
    }
}

impl GuardPlan {
    /// Why the cluster that the request is about to go to cannot serve.
    fn judge(&self, host: &impl Host, cluster: &str, table: &RouteTable) -> Result<Option<FallbackReason>, HostError> {
        let Some(resolved) = host.property(CLUSTER_NAME)? else { return Ok(Some(FallbackReason::MissingCluster)) };
        if resolved != cluster.as_bytes() {
            self.state.log_limit.warn_unguarded(
                "the route leads elsewhere than the filter says; the guard needs a native filter that refreshes the route before it",
            );
            return Ok(None);
        }
        let endpoints = self.endpoints.or(table.guard().endpoints).unwrap_or_default();
        if endpoints == Endpoints::Ignored {
            return Ok(None);
        }
        let count = host.property(ENDPOINTS)?;
        let count = count.and_then(|count| count.try_into().ok()).map(u64::from_le_bytes);
        let clusters = &self.state.health.clusters;
        let is_empty = match (count, endpoints) {
            (Some(0), Endpoints::Trusted) => true,
            (Some(0), _) => clusters.borrow().is_populated(cluster),
            (Some(_), Endpoints::Learned) => {
                clusters.borrow_mut().populate(cluster);
                false
            }
            (Some(_) | None, _) => false,
        };
        Ok(is_empty.then_some(FallbackReason::NoEndpoints))
    }
}

/// A request that is decided again.
struct Again<'a, H> {
    context: &'a HostContext<'a, H>,
    applied: &'a Applied,
    head: &'a RequestHead<'a>,
}

impl<'a, H: Host> Again<'a, H> {
    fn decide(&self, faults: FaultScope, health: &dyn Health) -> Decision<'a> {
        let Self { context, applied, head } = *self;
        let input = DecisionInput { head, context, chance: &applied.draws, health, faults };
        applied.table.routes.decide(&input)
    }
}

/// The request is on its way to this cluster, whatever others can do: the decision that was applied.
struct Only(String);

impl Health for Only {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        (cluster != self.0).then_some(FallbackReason::MissingCluster)
    }
}

/// What the guard may choose from: what could serve when the request was decided and can still, and what has served since.
struct Choice<'a> {
    request: &'a TrackedRequest,
    then: &'a Snapshot,
    now: &'a KnownHealth,
}

impl<'a> Choice<'a> {
    const fn new(request: &'a TrackedRequest, then: &'a Snapshot, now: &'a KnownHealth) -> Self {
        Self { request, then, now }
    }
}

impl Health for Choice<'_> {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        let is_known = self.request.left(cluster).or_else(|| self.now.unavailable(cluster));
        is_known.or_else(|| self.then.unavailable(cluster).filter(|_| !self.is_proven(cluster)))
    }

    fn is_proven(&self, cluster: &str) -> bool {
        self.now.clusters.borrow().is_proven(cluster)
    }
}

/// Moves a request from a cluster that cannot serve, if another can: to a version that has proven itself or the default,
/// else to one of which nothing is known, else to one that is merely ejected. Whether it has.
fn fall_back<H: Host>(
    host: &H,
    state: &VmState,
    request: &TrackedRequest,
    again: &Again<'_, H>,
    reason: FallbackReason,
) -> Result<bool, HostError> {
    leave(host, &state.health, request, reason);
    let headers = host.request_headers()?;
    let table = &again.applied.table.routes;
    let current = table.read_head(headers.pairs());
    let only = Only(request.cluster.borrow().clone());
    let abandoned = again.decide(FaultScope::Nothing, &only);
    let chosen = again.decide(FaultScope::Nothing, &Choice::new(request, &again.applied.health, &state.health));
    match (&abandoned.outcome, &chosen.outcome) {
        (Outcome::Forward(from), Outcome::Forward(to)) if request.left(&to.cluster).is_none() => {
            let of = (&state.registry, &state.log_limit);
            fallbacks::count(host, of, to.destination, from.destination.subset.as_deref(), reason);
        }
        _ => return Ok(false),
    }
    apply::replace(host, (&abandoned, &chosen), (again.head, &current), table);
    filter_state::write(host, &state.text, (table, &again.applied.table.versions), &chosen);
    if let Outcome::Forward(forward) = &chosen.outcome {
        if request.destination.get().is_some() {
            request.destination.set(Some(forward.destination.id));
        }
        request.response.replace(ResponseChanges::of_forward(forward.response_headers.clone()));
        request.redirect(&state.health, forward);
    }
    Ok(true)
}

/// Notes that the request's cluster cannot serve. That a route has no cluster is borne out by the end of the request: a
/// native route that answers by itself has none either.
fn leave(host: &impl Host, known: &KnownHealth, request: &TrackedRequest, reason: FallbackReason) {
    let cluster = request.cluster.borrow().clone();
    let mut down = if request.ticker.is_running() { health::down(host, &cluster, reason) } else { None };
    if let Some(down) = down.take_if(|down| down.reason == FallbackReason::NoEndpoints) {
        known.clusters.borrow_mut().learn(&cluster, down);
    }
    request.leave(reason, down);
}
