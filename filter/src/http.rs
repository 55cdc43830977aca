//! One request: read, decide, apply; and what its end says of the cluster that served it.

use std::rc::Rc;

use canary_routing::{Availability, Decision, Draws, FaultScope, Forward, Fraction, Outcome, RouteTable};
use sdk_shims::context::Action;
use sdk_shims::entropy;
use sdk_shims::host;
use sdk_shims::log;

use crate::apply;
use crate::candidates;
use crate::delays::{Ending, Pending};
use crate::explanation::Explanation;
use crate::fallbacks;
use crate::filter_state;
use crate::flight::Flight;
use crate::handover::{self, Applied, Guarded, Handover, Registered};
use crate::metrics::{self, DECISION_ERRORS, Measured};
use crate::observe;
use crate::permissions;
use crate::request::HostRequest;
use crate::response::ResponseChange;
use crate::sharing;
use crate::ticker::Ticker;

/// A request under the table that was in force when it began.
pub(crate) struct Stream {
    context: u32,
    table: Rc<RouteTable>,
    ticker: Rc<Ticker>,
    guarded: Rc<Guarded>,
    response: Vec<ResponseChange>,
    delay: Option<Pending>,
    /// Of a request whose version another may stand in for.
    handover: Option<Rc<Handover>>,
    registered: Option<Registered>,
    measured: Option<Measured>,
}

impl Stream {
    pub(crate) const fn new(context: u32, table: Rc<RouteTable>, ticker: Rc<Ticker>, guarded: Rc<Guarded>) -> Self {
        Self {
            context,
            table,
            ticker,
            guarded,
            response: Vec::new(),
            delay: None,
            handover: None,
            registered: None,
            measured: None,
        }
    }

    /// Tells metrics, access logs and traces of a decision.
    fn tell(&mut self, decision: &Decision<'_>) {
        self.measured = Measured::begin(self.table.metrics(), decision);
        if self.table.filter_state().enabled {
            filter_state::tell(decision);
        }
    }

    fn count_delay(&self) {
        if let Some(measured) = self.measured {
            measured.version.count_delay();
        }
    }

    /// Keeps what the guard, and the end of the stream, need.
    fn hand_over(&mut self, sent: (String, Option<Flight>), applied: Applied) {
        let (ticker, guarded) = (Rc::clone(&self.ticker), Rc::clone(&self.guarded));
        let response = std::mem::take(&mut self.response);
        let version = self.measured.map(|measured| measured.version);
        let handover = Rc::new(Handover::new(ticker, guarded, applied, sent, version, response));
        match handover::register(self.context, Rc::clone(&handover)) {
            Ok(registered) => self.registered = Some(registered),
            Err(error) => log::error!("{error}: the request passes unguarded"),
        }
        self.handover = Some(handover);
    }

    /// The cluster of a request whose version another may stand in for, and where the version's failures count.
    fn sent(&self, decision: &Decision<'_>) -> Option<(String, Option<Flight>)> {
        let Outcome::Forward(forward) = &decision.outcome else { return None };
        let flight = Flight::begin(forward, decision.delay, &self.ticker);
        forward.has_alternative.then(|| (forward.cluster.clone().into_owned(), flight))
    }

    /// The client has sent all of the request.
    pub(crate) fn complete_if(&self, end_of_stream: bool) {
        if let Some(handover) = self.handover.as_ref().filter(|_| end_of_stream) {
            handover.complete();
        }
    }

    pub(crate) fn on_request_headers(&mut self, end_of_stream: bool) -> Action {
        let table = Rc::clone(&self.table);
        let lines = match host::request_headers() {
            Ok(lines) => lines,
            Err(error) => {
                log::error!("{error}: the request is left to the native routes");
                apply::strip_unseen(&table);
                metrics::count(&DECISION_ERRORS, &[]);
                return Action::Continue;
            }
        };
        let request = HostRequest::new(&lines);
        let (draws, known) = (draws(), sharing::snapshot());
        let faults = if self.guarded.is_expected() { FaultScope::BeforeGuard } else { FaultScope::All };
        let available: &dyn Availability = &known;
        let decision = table.decide_within(faults, &request, &draws, available);
        apply::apply(&decision, &request, &table);
        permissions::count(decision.permissions);
        candidates::compare(&table, &request, &draws, available);
        self.tell(&decision);
        let explanation = Explanation::of(&decision, &table);
        let is_native = apply::leaves_faults_to_envoy(&decision, &table);
        let (sent, leaves_faults) = (self.sent(&decision), decision.leaves_faults);
        let mut ending = match decision.outcome {
            Outcome::Untouched => Ending::Resume,
            Outcome::Forward(forward) => {
                count_fallback(&forward);
                self.response = ResponseChange::of_forward(forward.response_headers);
                Ending::Resume
            }
            Outcome::LocalReply(reply) if is_native => {
                self.response = ResponseChange::of_reply(reply.headers);
                Ending::Resume
            }
            Outcome::LocalReply(reply) => Ending::Reply(reply),
        };
        let is_explained = explanation.is_some();
        if let Some(explanation) = explanation {
            explanation.join(&mut ending, &mut self.response);
        }
        if let Some(sent) = sent {
            let table = Rc::clone(&table);
            self.hand_over(sent, Applied { table, request: lines, draws, known, leaves_faults, is_explained });
            self.complete_if(end_of_stream);
        }
        let Some(delay) = decision.delay else { return ending.at_once() };
        if is_native {
            self.count_delay();
            return ending.at_once();
        }
        match Pending::begin(self.context, delay, ending, table.faults().max_active, &self.ticker) {
            Ok(pending) => {
                self.count_delay();
                self.delay = Some(pending);
                Action::Pause
            }
            Err(ending) => ending.at_once(),
        }
    }

    /// Comes for the upstream's response and for Envoy's own answers; those of this filter need no change.
    pub(crate) fn on_response_headers(&mut self) {
        let handed_over = self.handover.as_ref().map(|handover| {
            handover.close(observe::was_routed);
            handover.answered();
            handover.response.take()
        });
        for change in handed_over.unwrap_or_else(|| std::mem::take(&mut self.response)) {
            change.carry_out();
        }
    }

    pub(crate) fn on_log(&mut self) {
        if let Some(handover) = &self.handover
            && let Err(error) = observe::end_of_stream(handover)
        {
            log::error!("{error}: nothing is learned from a request");
        }
        if let Some(measured) = self.measured {
            let moved = self.handover.as_ref().and_then(|handover| handover.version.get());
            measured.end(moved.unwrap_or(measured.version));
        }
    }
}

fn count_fallback(forward: &Forward<'_>) {
    if let Some(fallback) = &forward.fallback {
        fallbacks::count(&forward.destination, fallback.from.as_deref(), fallback.reason);
    }
}

/// One number for each draw that a decision may look at.
fn draws() -> Draws {
    let [split, delay, abort, trial, candidate, user, user_rest] = entropy::draws();
    Draws {
        split: Fraction::from_bits(split),
        delay: Fraction::from_bits(delay),
        abort: Fraction::from_bits(abort),
        trial: Fraction::from_bits(trial),
        mirror: entropy::draws().map(Fraction::from_bits),
        candidate: Fraction::from_bits(candidate),
        identity: Some(u128::from(user) << 64 | u128::from(user_rest)),
    }
}
