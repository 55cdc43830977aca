//! Requests whose end says something of their version, and how long they have waited for an answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use canary_config::FailureAccrual;
use canary_routing::accrual::Verdict;
use canary_routing::{Forward, Fraction};

use crate::health::accruals::{Accruals, Sent};
use crate::host::{Host, HostError};

/// Time is that of the last tick, which may be so long ago, in nanoseconds: no request is slow before its time.
const TICK: u64 = 100_000_000;

/// A request that waits for an answer.
#[derive(Debug)]
struct Waiting {
    /// When it is slow, in nanoseconds of the steady clock.
    deadline: u64,
    sent: Rc<RefCell<Sent>>,
}

/// The requests of a VM that policies watch, and what is known of the failures of versions.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) accruals: RefCell<Accruals>,
    /// Requests that wait for an answer, by number.
    waiting: RefCell<HashMap<u64, Waiting>>,
    /// The steady clock in nanoseconds at the last tick.
    now: Cell<u64>,
    last_number: Cell<u64>,
}

/// A request on its way to a version that a policy watches.
#[derive(Debug)]
pub(crate) struct InFlight {
    requests: Rc<Requests>,
    sent: Rc<RefCell<Sent>>,
    /// The steady clock when the injected delays are over: they are not the version's.
    undelayed: Cell<u64>,
    stage: Cell<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not sent all of it, or nothing limits the wait.
    Sending,
    /// The number by which it waits.
    Waiting(u64),
    /// The answer has begun.
    Answered,
    /// It has been counted as a failure.
    Slow,
}

impl Requests {
    /// A request goes where a decision says; `None` if no policy watches the version's failures.
    pub(crate) fn send(self: &Rc<Self>, forward: &Forward<'_>, delay: Option<Duration>) -> Option<InFlight> {
        let settings = forward.accrual?;
        let sent = self.accruals.borrow_mut().send(&forward.cluster, forward.destination, settings)?;
        let sent = Rc::new(RefCell::new(sent));
        let (undelayed, stage) = (Cell::default(), Cell::new(Stage::Sending));
        let in_flight = InFlight { requests: Rc::clone(self), sent, undelayed, stage };
        in_flight.postpone(delay.unwrap_or_default());
        Some(in_flight)
    }

    /// Counts every request that has waited too long. Called in ticks.
    pub(crate) fn judge_waiting(&self, host: &impl Host) -> Result<(), HostError> {
        let now = host.steady_nanoseconds()?;
        self.now.set(now);
        let slow: Vec<_> = self.waiting.borrow_mut().extract_if(|_, request| request.deadline <= now).collect();
        slow.iter().for_each(|(_, request)| self.record(host, &request.sent.borrow(), Verdict::Failure));
        Ok(())
    }

    fn record(&self, host: &impl Host, sent: &Sent, verdict: Verdict) {
        let jitter = Fraction::from_bits(host.random());
        self.accruals.borrow_mut().record(sent, verdict, jitter);
    }
}

impl InFlight {
    /// The client has sent all of it: the wait begins, as for a timeout of Envoy's.
    pub(crate) fn wait(&self) {
        let slow_after = self.sent.borrow().settings().slow_after;
        if let (Some(limit), Stage::Sending) = (slow_after, self.stage.get()) {
            let number = self.requests.last_number.get().wrapping_add(1);
            self.requests.last_number.set(number);
            let begin = self.requests.now.get().max(self.undelayed.get()).saturating_add(TICK);
            let deadline = begin.saturating_add(nanoseconds(limit));
            self.requests.waiting.borrow_mut().insert(number, Waiting { deadline, sent: Rc::clone(&self.sent) });
            self.stage.set(Stage::Waiting(number));
        }
    }

    /// Another injected delay comes before the version can answer.
    pub(crate) fn postpone(&self, delay: Duration) {
        self.undelayed.set(self.requests.now.get().max(self.undelayed.get()).saturating_add(nanoseconds(delay)));
        if let Stage::Waiting(number) = self.stage.get()
            && self.stop_waiting(number)
        {
            self.stage.set(Stage::Sending);
            self.wait();
        }
    }

    /// The answer has begun, or none will come.
    pub(crate) fn answered(&self) {
        let stage = match self.stage.get() {
            Stage::Waiting(number) if !self.stop_waiting(number) => Stage::Slow,
            Stage::Slow => Stage::Slow,
            Stage::Sending | Stage::Waiting(_) | Stage::Answered => Stage::Answered,
        };
        self.stage.set(stage);
        self.requests.accruals.borrow_mut().release(&mut self.sent.borrow_mut());
    }

    /// False where it has been counted as slow.
    fn stop_waiting(&self, number: u64) -> bool {
        self.requests.waiting.borrow_mut().remove(&number).is_some()
    }

    /// Whether it is one of a trial.
    pub(crate) fn is_trial(&self) -> bool {
        self.sent.borrow().is_trial()
    }

    /// Whether a verdict would change anything.
    pub(crate) fn wants(&self, verdict: Verdict) -> bool {
        self.stage.get() != Stage::Slow && self.requests.accruals.borrow().wants(&self.sent.borrow(), verdict)
    }

    /// Counts how it ended.
    pub(crate) fn record(&self, host: &impl Host, verdict: Verdict) {
        self.requests.record(host, &self.sent.borrow(), verdict);
    }

    /// What failures do to the version.
    pub(crate) fn settings(&self) -> Arc<FailureAccrual> {
        Arc::clone(self.sent.borrow().settings())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.answered();
        self.requests.accruals.borrow_mut().end(&self.sent.borrow());
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
