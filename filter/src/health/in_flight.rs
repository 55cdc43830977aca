//! Requests whose version has failure accrual, and how long each has waited for an answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use canary_config::FailureAccrual;
use canary_routing::accrual::Verdict;
use canary_routing::{Destination, Fraction};

use crate::health::accruals::{Accruals, Sent};
use crate::host::{Host, HostError};
use crate::upstream::{self, EndpointVersion};

/// A request without an answer.
#[derive(Debug)]
struct Waiting {
    /// The stream's number.
    stream: u32,
    /// The earliest start of the wait, in nanoseconds of the steady clock.
    begin: u64,
    /// The present try, if it waits for an endpoint of the version.
    waits: Option<Try>,
    awaited: Rc<AwaitedVersion>,
    sent: Rc<RefCell<Sent>>,
}

/// A try of a request.
#[derive(Debug)]
struct Try {
    number: u64,
    /// When the try counts as slow, in nanoseconds of the steady clock.
    deadline: u64,
}

/// The version that must answer in time, if the policy has `slowAfter`.
#[derive(Debug)]
pub(crate) struct AwaitedVersion {
    /// The version's cluster, and its failover cluster.
    pub(crate) cluster: Box<str>,
    pub(crate) failover: Option<Box<str>>,
    /// The versions that may answer instead.
    pub(crate) others: Box<[Arc<Destination>]>,
}

/// A request to a version with failure accrual.
pub(crate) struct NewRequest<'s> {
    pub(crate) cluster: &'s str,
    pub(crate) destination: &'s Destination,
    pub(crate) settings: &'s Arc<FailureAccrual>,
    /// `None` if there is no time limit.
    pub(crate) awaited: Option<AwaitedVersion>,
}

/// The requests of a VM to versions with failure accrual, and the state of the versions.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) accruals: RefCell<Accruals>,
    /// Requests without an answer, by number.
    waiting: RefCell<HashMap<u64, Waiting>>,
    /// The steady clock at the last tick, in nanoseconds.
    now: Cell<u64>,
    last_number: Cell<u64>,
}

/// A request in flight to a version with failure accrual.
#[derive(Debug)]
pub(crate) struct InFlight {
    requests: Rc<Requests>,
    stream: u32,
    awaited: Option<Rc<AwaitedVersion>>,
    sent: Rc<RefCell<Sent>>,
    /// The end of the injected delays by the steady clock, in nanoseconds. They do not count as the version's time.
    undelayed: u64,
    stage: Cell<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not sent the whole request, or there is no time limit.
    Sending,
    /// The request waits, under this number.
    Waiting(u64),
    /// The answer has begun.
    Answered,
    /// The request has counted as a failure.
    Slow,
}

impl Requests {
    /// Records that a stream's request goes to a version after an injected delay. `None` if there are too many
    /// versions.
    pub(crate) fn send(self: &Rc<Self>, request: NewRequest<'_>, stream: u32, delay: Duration) -> Option<InFlight> {
        let NewRequest { cluster, destination, settings, awaited } = request;
        let sent = self.accruals.borrow_mut().send(cluster, destination, settings)?;
        let sent = Rc::new(RefCell::new(sent));
        let undelayed = self.now.get().saturating_add(nanoseconds(delay));
        let (requests, awaited) = (Rc::clone(self), awaited.map(Rc::new));
        Some(InFlight { requests, stream, awaited, sent, undelayed, stage: Cell::new(Stage::Sending) })
    }

    /// Counts as a failure each request that has waited too long for an endpoint of its version. Called by the tick.
    /// Enters the streams whose wait begins or ends.
    pub(crate) fn judge_waiting(&self, host: &impl Host) -> Result<(), HostError> {
        let now = host.steady_nanoseconds()?;
        self.now.set(now);
        let mut waiting = self.waiting.take();
        let is_slow = |_: &u64, request: &mut Waiting| {
            if request.begin > now || request.waits.as_ref().is_some_and(|waits| waits.deadline > now) {
                return false;
            }
            let number = find_try(host, request);
            if request.waits.as_ref().is_some_and(|waits| Some(waits.number) == number) {
                return true;
            }
            let limit = request.sent.borrow().settings().slow_after.unwrap_or_default();
            let deadline = now.saturating_add(nanoseconds(limit));
            request.waits = number.map(|number| Try { number, deadline });
            false
        };
        let slow: Vec<_> = waiting.extract_if(is_slow).collect();
        self.waiting.replace(waiting);
        slow.iter().for_each(|(_, request)| self.record(host, &request.sent.borrow(), Verdict::Failure));
        Ok(())
    }

    fn record(&self, host: &impl Host, sent: &Sent, verdict: Verdict) {
        let jitter = Fraction::from_bits(host.random());
        self.accruals.borrow_mut().record(sent, verdict, jitter);
    }
}

impl InFlight {
    /// The client has sent the whole request. The wait begins when it reaches an endpoint.
    pub(crate) fn wait(&self) {
        if let Some(awaited) = self.awaited.as_ref().filter(|_| self.stage.get() == Stage::Sending) {
            let number = self.requests.last_number.get().wrapping_add(1);
            self.requests.last_number.set(number);
            let (stream, begin, sent) = (self.stream, self.undelayed, Rc::clone(&self.sent));
            let waiting = Waiting { stream, begin, waits: None, awaited: Rc::clone(awaited), sent };
            self.requests.waiting.borrow_mut().insert(number, waiting);
            self.stage.set(Stage::Waiting(number));
        }
    }

    /// The answer has begun, or there will be none.
    pub(crate) fn answered(&self) {
        let stage = match self.stage.get() {
            Stage::Waiting(number) if !self.stop_waiting(number) => Stage::Slow,
            Stage::Slow => Stage::Slow,
            Stage::Sending | Stage::Waiting(_) | Stage::Answered => Stage::Answered,
        };
        self.stage.set(stage);
        self.requests.accruals.borrow_mut().release(&mut self.sent.borrow_mut());
    }

    /// False if the request has counted as slow.
    fn stop_waiting(&self, number: u64) -> bool {
        self.requests.waiting.borrow_mut().remove(&number).is_some()
    }

    /// Whether it is a trial request.
    pub(crate) fn is_trial(&self) -> bool {
        self.sent.borrow().is_trial()
    }

    /// Whether a verdict would change the state of the version.
    pub(crate) fn would_change(&self, verdict: Verdict) -> bool {
        self.stage.get() != Stage::Slow && self.requests.accruals.borrow().would_change(&self.sent.borrow(), verdict)
    }

    /// Counts the result.
    pub(crate) fn record(&self, host: &impl Host, verdict: Verdict) {
        self.requests.record(host, &self.sent.borrow(), verdict);
    }

    /// The failure accrual of the version.
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

/// The number of the request's try, if it waits for an endpoint of its version.
fn find_try(host: &impl Host, request: &Waiting) -> Option<u64> {
    let AwaitedVersion { cluster, failover, others } = &*request.awaited;
    let find = || {
        if !host.enter_stream(request.stream)?
            || !upstream::has_endpoint(host)?
            || upstream::is_in(host, cluster, failover.as_deref())? != Some(true)
        {
            return Ok(None);
        }
        let endpoint = if others.is_empty() { None } else { EndpointVersion::of_stream(host)? };
        if endpoint.is_some_and(|endpoint| others.iter().any(|other| endpoint.is(other))) {
            return Ok(None);
        }
        upstream::attempts(host).map(Some)
    };
    find().unwrap_or_else(|error: HostError| {
        log::error!("{error}: it is unknown whether a request has reached its version");
        None
    })
}
