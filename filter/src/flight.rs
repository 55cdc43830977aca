//! Requests whose end will tell something of their version, and how long they have waited for an answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use canary_routing::accrual::Verdict;
use canary_routing::{Forward, Fraction};
use sdk_shims::host::HostError;
use sdk_shims::{clock, entropy};

use crate::accruals::Sent;
use crate::sharing;
use crate::ticker::Ticker;

/// Time is that of the last tick, which may be so long ago, in nanoseconds: no request is slow before its time.
const TICK: u64 = 100_000_000;

/// A request that waits for an answer.
struct Waiting {
    /// When it is slow, in nanoseconds of the steady clock.
    deadline: u64,
    sent: Rc<RefCell<Sent>>,
}

thread_local! {
    /// Requests that wait for an answer, by number. A VM is one thread.
    static WAITING: RefCell<HashMap<u64, Waiting>> = RefCell::default();
    /// The steady clock in nanoseconds at the last tick, and the last request's number.
    static NOW: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// A request on its way to a version that a policy watches.
pub(crate) struct Flight {
    sent: Rc<RefCell<Sent>>,
    /// The steady clock when the injected delays are over: they are not the version's.
    undelayed: Cell<u64>,
    stage: Cell<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Forgets the VM that this thread had before.
pub(crate) fn init() {
    WAITING.take();
    NOW.set((0, 0));
}

impl Flight {
    /// A request goes where a decision says; `None` if no policy watches the version's failures, or no tick would judge them.
    pub(crate) fn begin(forward: &Forward<'_>, delay: Option<Duration>, ticker: &Ticker) -> Option<Self> {
        let settings = forward.accrual.filter(|_| ticker.is_running())?;
        let sent = sharing::accruals(|accruals| accruals.send(&forward.cluster, &forward.destination, settings))?;
        let sent = Rc::new(RefCell::new(sent));
        let flight = Self { sent, undelayed: Cell::default(), stage: Cell::new(Stage::Sending) };
        flight.postpone(delay.unwrap_or_default());
        Some(flight)
    }

    /// The client has sent all of it: the wait begins, as for a timeout of Envoy's.
    pub(crate) fn wait(&self) {
        let slow_after = self.sent.borrow().settings().slow_after;
        if let (Some(limit), Stage::Sending) = (slow_after, self.stage.get()) {
            let (now, last) = NOW.get();
            let number = last.wrapping_add(1);
            NOW.set((now, number));
            let begin = now.max(self.undelayed.get()).saturating_add(TICK);
            let waits = Waiting { deadline: begin.saturating_add(nanoseconds(limit)), sent: Rc::clone(&self.sent) };
            WAITING.with_borrow_mut(|waiting| waiting.insert(number, waits));
            self.stage.set(Stage::Waiting(number));
        }
    }

    /// Another injected delay comes before the version can answer.
    pub(crate) fn postpone(&self, delay: Duration) {
        let (now, _) = NOW.get();
        self.undelayed.set(now.max(self.undelayed.get()).saturating_add(nanoseconds(delay)));
        if let Stage::Waiting(number) = self.stage.get()
            && WAITING.with_borrow_mut(|waiting| waiting.remove(&number)).is_some()
        {
            self.stage.set(Stage::Sending);
            self.wait();
        }
    }

    /// The answer has begun, or none will come.
    pub(crate) fn answered(&self) {
        let stage = match self.stage.get() {
            Stage::Waiting(number) if WAITING.with_borrow_mut(|waiting| waiting.remove(&number)).is_none() => {
                Stage::Slow
            }
            Stage::Slow => Stage::Slow,
            Stage::Sending | Stage::Waiting(_) | Stage::Answered => Stage::Answered,
        };
        self.stage.set(stage);
        sharing::accruals(|accruals| accruals.release(&mut self.sent.borrow_mut()));
    }

    /// Whether it is one of a trial.
    pub(crate) fn is_trial(&self) -> bool {
        self.sent.borrow().is_trial()
    }

    /// Whether a verdict would change anything.
    pub(crate) fn wants(&self, verdict: Verdict) -> bool {
        self.stage.get() != Stage::Slow && sharing::accruals(|accruals| accruals.wants(&self.sent.borrow(), verdict))
    }

    /// Counts how it ended.
    pub(crate) fn record(&self, verdict: Verdict) {
        record(&self.sent.borrow(), verdict);
    }

    /// What failures do to the version.
    pub(crate) fn with_settings<T>(&self, look: impl FnOnce(&canary_routing::config::FailureAccrual) -> T) -> T {
        look(self.sent.borrow().settings())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Where the thread is about to end, so does everything that a request would leave behind.
        if sharing::is_there() && WAITING.try_with(|_| ()).is_ok() {
            self.answered();
            sharing::accruals(|accruals| accruals.end(&self.sent.borrow()));
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts every request that has waited too long. Called in ticks.
pub(crate) fn judge_waiting() -> Result<(), HostError> {
    let now = clock::steady_nanoseconds()?;
    let (_, last) = NOW.get();
    NOW.set((now, last));
    let is_slow = |_: &u64, request: &mut Waiting| request.deadline <= now;
    let slow: Vec<_> = WAITING.with_borrow_mut(|waiting| waiting.extract_if(is_slow).collect());
    slow.iter().for_each(|(_, request)| record(&request.sent.borrow(), Verdict::Failure));
    Ok(())
}

fn record(sent: &Sent, verdict: Verdict) {
    let jitter = Fraction::from_bits(entropy::draw());
    sharing::accruals(|accruals| accruals.record(sent, verdict, jitter));
}
