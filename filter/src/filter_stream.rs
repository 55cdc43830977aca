//! One request: read, decide, apply, report. Its response: find the version that answered, and judge it.

use std::rc::Rc;

use canary_routing::{Decision, DecisionInput, Forward, Health, Outcome, RequestHead};

use crate::apply::{self, FinalAction, NextStep, ResponseChanges};
use crate::delays::PendingDelay;
use crate::end_of_request;
use crate::filter_table::FilterTable;
use crate::host::{Host, Pairs};
use crate::read::{HostContext, RequestChance};
use crate::report::metrics::catalogue::DECISION_ERRORS;
use crate::report::metrics::{DestinationMetric, FaultKind, MeasuredRequest};
use crate::report::{Explanation, candidate, fallbacks, filter_state, permissions};
use crate::ticker::Ticker;
use crate::tracked_request::{ClientFactors, ServedBy, TrackedRequest};
use crate::vm_state::VmState;

/// The state that all requests of one configuration share.
pub(crate) struct FilterPlan {
    pub(crate) state: Rc<VmState>,
    pub(crate) table: FilterTable,
    pub(crate) ticker: Rc<Ticker>,
}

/// A request with the configuration of its start.
pub(crate) struct FilterStream {
    id: u32,
    plan: Rc<FilterPlan>,
    response: ResponseChanges,
    measured: Option<MeasuredRequest>,
    /// Set if another version can replace the request's version.
    tracked: Option<Box<TrackedRequest>>,
    /// Whether the version that answered was looked up.
    is_answered: bool,
    delay: Option<PendingDelay>,
}

impl FilterStream {
    pub(crate) fn new(id: u32, plan: Rc<FilterPlan>) -> Self {
        let response = ResponseChanges::default();
        Self { id, plan, response, measured: None, tracked: None, is_answered: false, delay: None }
    }

    pub(crate) fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> NextStep {
        match host.request_headers() {
            Ok(headers) => self.serve(host, &headers, end_of_stream),
            Err(error) => {
                log::error!("{error}: the request is left to the native routes");
                apply::remove_own_headers(host, &self.plan.table.routes);
                self.plan.state.registry.count(host, &DECISION_ERRORS, &[]);
                NextStep::Continue
            }
        }
    }

    fn serve(&mut self, host: &impl Host, headers: &impl Pairs, end_of_stream: bool) -> NextStep {
        let plan = Rc::clone(&self.plan);
        let (state, table) = (&*plan.state, &plan.table.routes);
        let mut head = RequestHead::unread();
        table.read_into(&mut head, headers.pairs());
        let (chance, context) = (RequestChance::new(host), HostContext::new(host));
        let health: &dyn Health = &state.health;
        let input = DecisionInput { head: &head, context: &context, chance: &chance, health };
        let mut decision = table.decide(&input);
        apply::apply(host, &decision, &head, table);
        let explanation = self.report(host, &decision);
        candidate::compare(host, (&state.registry, &state.log_limit), table, &input, headers);
        if let (Outcome::Forward(forward), Some(route)) = (&decision.outcome, decision.route) {
            let client = || ClientFactors::of(&head, table.is_limited_by_client(&head, forward.limits), headers);
            let to = (self.id, decision.delay);
            let tracked = TrackedRequest::new(&state.health, &plan.ticker, (forward, route), to, client);
            self.tracked = tracked.map(Box::new);
        }
        self.end(host, &mut decision, explanation, end_of_stream)
    }

    /// Reports a decision in metrics and filter state. Returns the explanation for the client.
    fn report(&mut self, host: &impl Host, decision: &Decision<'_>) -> Option<Explanation> {
        let FilterPlan { state, table, .. } = &*self.plan;
        permissions::count(host, &state.registry, decision.permissions);
        self.measured = MeasuredRequest::begin(host, &state.registry, (&table.routes, &table.series), decision);
        let route = decision.route.map_or("", |route| &route.name);
        filter_state::write(host, &state.text, (&table.routes, &table.versions), (decision.version(), route));
        if let Outcome::Forward(Forward { fallback: Some(fallback), destination, .. }) = &decision.outcome {
            let of = (&state.registry, &state.log_limit);
            fallbacks::count(host, of, destination, fallback.from.as_deref(), fallback.reason);
        }
        Explanation::of(decision, &table.routes)
    }

    /// Answers, delays or forwards the request. Takes the local reply and the response changes out of the decision.
    fn end(
        &mut self,
        host: &impl Host,
        decision: &mut Decision<'_>,
        explanation: Option<Explanation>,
        end_of_stream: bool,
    ) -> NextStep {
        let plan = Rc::clone(&self.plan);
        let (state, table) = (&*plan.state, &plan.table.routes);
        let is_native = apply::leaves_faults_to_envoy(decision, table);
        let mut final_action = match decision.outcome.take_reply() {
            Some(reply) if is_native => {
                self.response = ResponseChanges::of_reply(reply.headers);
                FinalAction::Resume
            }
            Some(reply) => FinalAction::Reply(reply),
            None => {
                if let Outcome::Forward(forward) = &mut decision.outcome {
                    self.response = ResponseChanges::of_forward(std::mem::take(&mut forward.response_headers));
                }
                FinalAction::Resume
            }
        };
        if let Some(Explanation { name, text }) = explanation {
            final_action.add_header(name, text.into_bytes(), &mut self.response);
        }
        self.complete_if(end_of_stream);
        let Some(delay) = decision.delay else { return final_action.run_now(host, &state.registry) };
        if is_native {
            self.count_delay(host);
            return final_action.run_now(host, &state.registry);
        }
        let with = (host, &state.registry, &*plan.ticker);
        match state.delays.begin(with, self.id, (delay, final_action), table.faults().max_active) {
            Ok(pending) => {
                self.count_delay(host);
                self.delay = Some(pending);
                NextStep::Pause
            }
            Err(final_action) => final_action.run_now(host, &state.registry),
        }
    }

    fn count_delay(&self, host: &impl Host) {
        let FilterPlan { state, table, .. } = &*self.plan;
        if let Some(measured) = self.measured {
            let delay = (measured.destination, DestinationMetric::Faults(FaultKind::Delay));
            table.series.count(host, &state.registry, &table.routes, delay);
        }
    }

    /// Records that the client has sent the whole request, if `end_of_stream`.
    pub(crate) fn complete_if(&mut self, end_of_stream: bool) {
        if let Some(tracked) = self.tracked.as_mut().filter(|_| end_of_stream) {
            tracked.complete();
        }
    }

    /// Called for the upstream's response and for Envoy's own replies. The filter's own local replies need no change.
    pub(crate) fn on_response_headers(&mut self, host: &impl Host) {
        self.find_served(host);
        std::mem::take(&mut self.response).apply(host);
    }

    /// Finds the version that answered. If it is not the picked one, the response gets its changes, and metrics and
    /// logs name it.
    fn find_served(&mut self, host: &impl Host) {
        self.is_answered = true;
        let FilterPlan { state, table, .. } = &*self.plan;
        let Some(tracked) = &mut self.tracked else { return };
        let served = tracked.answered(host, &state.health).unwrap_or_else(|error| {
            log::error!("{error}: the request counts for the version that was picked");
            None
        });
        let Some(ServedBy { from, reason, response }) = served else { return };
        let to = &tracked.version.destination;
        self.response.replace(response);
        if let (Some(explain), Some(version)) = (&table.routes.steering().explain, &to.subset) {
            self.response.extend(explain.as_str(), &format!("; served={version}"));
        }
        if let Some(measured) = self.measured.as_mut().filter(|measured| measured.destination.is_some()) {
            measured.destination = Some(to.id);
        }
        fallbacks::count(host, (&state.registry, &state.log_limit), to, from.subset.as_deref(), reason);
        let shown = (Some((&**to, tracked.reason)), &*tracked.route);
        filter_state::write(host, &state.text, (&table.routes, &table.versions), shown);
    }

    pub(crate) fn on_log(&mut self, host: &impl Host) {
        if !self.is_answered {
            self.find_served(host);
        }
        let FilterPlan { state, table, ticker } = &*self.plan;
        if let Some(tracked) = &self.tracked
            && let Err(error) = end_of_request::learn(host, (&state.health, ticker), tracked)
        {
            log::error!("{error}: the result of a request is not counted");
        }
        if let Some(measured) = self.measured {
            measured.end(host, &state.registry, (&table.routes, &table.series));
        }
    }
}
