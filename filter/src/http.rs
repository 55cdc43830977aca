//! One request: read, decide, apply.

use std::rc::Rc;

use canary_routing::{Draws, Fraction, Outcome, RouteTable};
use sdk_shims::entropy;
use sdk_shims::host;
use sdk_shims::log;
use sdk_shims::traits::{Context, HttpContext};
use sdk_shims::types::Action;

use crate::apply;
use crate::delays::{Ending, Pending, Ticker};
use crate::request::HostRequest;
use crate::response::ResponseChange;

/// A request under the table that was in force when it began.
pub(crate) struct Stream {
    context: u32,
    table: Rc<RouteTable>,
    ticker: Rc<Ticker>,
    response: Vec<ResponseChange>,
    delay: Option<Pending>,
}

impl Stream {
    pub(crate) const fn new(context: u32, table: Rc<RouteTable>, ticker: Rc<Ticker>) -> Self {
        Self { context, table, ticker, response: Vec::new(), delay: None }
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
        let decision = table.decide(&request, &draws());
        apply::apply(&decision, &request, &table);
        let is_native = apply::leaves_faults_to_envoy(&decision, &table);
        let ending = match decision.outcome {
            Outcome::Untouched => Ending::Resume,
            Outcome::Forward(forward) => {
                self.response = ResponseChange::of_forward(forward.response_headers);
                Ending::Resume
            }
            Outcome::LocalReply(reply) if is_native => {
                self.response = ResponseChange::of_reply(reply.headers);
                Ending::Resume
            }
            Outcome::LocalReply(reply) => Ending::Reply(reply),
        };
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
        for change in std::mem::take(&mut self.response) {
            change.carry_out();
        }
        Action::Continue
    }
}

/// One number for each draw that a decision may look at.
fn draws() -> Draws {
    let draw = || Fraction::from_bits(entropy::draw());
    Draws { split: draw(), delay: draw(), abort: draw(), mirror: std::array::from_fn(|_| draw()) }
}
