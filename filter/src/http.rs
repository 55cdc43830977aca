//! One request: read, decide, apply; and what its end says of the cluster that served it.

use std::cell::RefCell;
use std::rc::Rc;

use canary_routing::{Decision, Draws, Forward, Fraction, Outcome, RouteTable};
use sdk_shims::entropy;
use sdk_shims::host::{self, Pairs};
use sdk_shims::log;
use sdk_shims::traits::{Context, HttpContext};
use sdk_shims::types::Action;

use crate::apply;
use crate::delays::{Ending, Pending};
use crate::fallbacks;
use crate::handover::{self, Handover, Registered};
use crate::knowledge::Known;
use crate::observe;
use crate::request::HostRequest;
use crate::response::ResponseChange;
use crate::sharing;
use crate::ticker::Ticker;

/// A request under the table that was in force when it began.
pub(crate) struct Stream {
    context: u32,
    table: Rc<RouteTable>,
    ticker: Rc<Ticker>,
    response: Vec<ResponseChange>,
    delay: Option<Pending>,
    /// Of a request whose version another may stand in for.
    handover: Option<Rc<Handover>>,
    registered: Option<Registered>,
}

impl Stream {
    pub(crate) const fn new(context: u32, table: Rc<RouteTable>, ticker: Rc<Ticker>) -> Self {
        Self { context, table, ticker, response: Vec::new(), delay: None, handover: None, registered: None }
    }

    /// Keeps what the guard, and the end of the stream, need.
    fn hand_over(&mut self, cluster: String, request: Pairs, draws: Draws, known: Rc<Known>) {
        let handover = Rc::new(Handover {
            table: Rc::clone(&self.table),
            ticker: Rc::clone(&self.ticker),
            request,
            draws,
            known,
            cluster: RefCell::new(cluster),
            response: RefCell::new(std::mem::take(&mut self.response)),
        });
        match handover::register(self.context, Rc::clone(&handover)) {
            Ok(registered) => self.registered = Some(registered),
            Err(error) => log::error!("{error}: the request passes unguarded"),
        }
        self.handover = Some(handover);
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let table = Rc::clone(&self.table);
        let lines = match host::request_headers() {
            Ok(lines) => lines,
            Err(error) => {
                log::error!("{error}: the request is left to the native routes");
                apply::strip_unseen(&table);
                return Action::Continue;
            }
        };
        let request = HostRequest::new(&lines);
        let (draws, known) = (draws(), sharing::look(|knowledge| knowledge.known()));
        let decision = handover::decide(&table, &request, &draws, &*known);
        apply::apply(&decision, &request, &table);
        let is_native = apply::leaves_faults_to_envoy(&decision, &table);
        let cluster = guarded_cluster(&decision);
        let ending = match decision.outcome {
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
        if let Some(cluster) = cluster {
            self.hand_over(cluster, lines, draws, known);
        }
        let Some(delay) = decision.delay.filter(|_| !is_native) else { return ending.at_once() };
        match Pending::begin(self.context, delay, ending, table.faults().max_active, &self.ticker) {
            Ok(pending) => {
                self.delay = Some(pending);
                Action::Pause
            }
            Err(ending) => ending.at_once(),
        }
    }

    /// Comes for the upstream's response and for Envoy's own answers; those of this filter need no change.
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let guarded = self.handover.as_ref().map(|handover| handover.response.take());
        for change in guarded.unwrap_or_else(|| std::mem::take(&mut self.response)) {
            change.carry_out();
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(handover) = &self.handover
            && let Err(error) = observe::end_of_stream(&handover.cluster.borrow(), &self.ticker)
        {
            log::error!("{error}: nothing is learned from a request");
        }
    }
}

/// The cluster of a request whose version another may stand in for.
fn guarded_cluster(decision: &Decision<'_>) -> Option<String> {
    match &decision.outcome {
        Outcome::Forward(forward) if forward.has_alternative => Some(forward.cluster.clone().into_owned()),
        Outcome::Forward(_) | Outcome::LocalReply(_) | Outcome::Untouched => None,
    }
}

fn count_fallback(forward: &Forward<'_>) {
    if let Some(fallback) = &forward.fallback {
        fallbacks::count(&forward.destination, fallback.from.as_deref(), fallback.reason);
    }
}

/// One number for each draw that a decision may look at.
fn draws() -> Draws {
    let draw = || Fraction::from_bits(entropy::draw());
    Draws {
        split: draw(),
        delay: draw(),
        abort: draw(),
        mirror: std::array::from_fn(|_| draw()),
        candidate: draw(),
        identity: Some(u128::from(entropy::draw()) << 64 | u128::from(entropy::draw())),
    }
}
