//! Delays by the filter itself: a paused request is ended by the tick of a root context.
//!
//! The pending delays are those of the VM. Whichever of its root contexts ticks serves them all, so a replaced
//! configuration ends its delays on time, whether its root context lives on or not.

use std::cell::RefCell;
use std::time::Duration;

use canary_routing::LocalReply;
use litemap::LiteMap;
use sdk_shims::clock;
use sdk_shims::context::Action;
use sdk_shims::host::{self, Failure, HostError, LocalResponse, Status};
use sdk_shims::log;

use crate::metrics::{self, DECISION_ERRORS, DELAYS_SKIPPED};
use crate::ticker::Ticker;

/// How a request goes on, after its delay if it has one.
pub(crate) enum Ending<'t> {
    /// To the next filter.
    Resume,
    /// Answered here.
    Reply(LocalReply<'t>),
}

/// Deadline in nanoseconds of the steady clock, then the stream's context: unique, and in the order of serving.
type Key = (u64, u32);

thread_local! {
    /// A VM is one thread, so these are the VM's.
    static PENDING: RefCell<LiteMap<Key, Ending<'static>>> = const { RefCell::new(LiteMap::new_vec()) };
}

/// A pending delay. Dropped with its stream: of a client that has gone nothing stays behind.
pub(crate) struct Pending(Key);

impl Ending<'_> {
    /// Ends a request that is not delayed.
    pub(crate) fn at_once(self) -> Action {
        match self {
            Ending::Reply(reply) if answer(&reply) => Action::Pause,
            Ending::Reply(_) | Ending::Resume => Action::Continue,
        }
    }

    /// Ends the paused request of the stream in force. After this nothing of the stream can be read or written.
    fn after_delay(&self) -> Result<(), HostError> {
        match self {
            Ending::Reply(reply) if answer(reply) => Ok(()),
            Ending::Reply(_) | Ending::Resume => host::resume_request(),
        }
    }

    fn into_owned(self) -> Ending<'static> {
        match self {
            Ending::Resume => Ending::Resume,
            Ending::Reply(LocalReply { status, grpc_status, details, headers, body }) => Ending::Reply(LocalReply {
                status,
                grpc_status,
                details,
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name.into_owned().into(), value.into_owned().into()))
                    .collect(),
                body: body.into_owned().into(),
            }),
        }
    }
}

/// Sends a local reply; false if the host refuses.
fn answer(reply: &LocalReply<'_>) -> bool {
    let response = LocalResponse {
        status: reply.status,
        grpc_status: reply.grpc_status,
        details: reply.details,
        body: &reply.body,
    };
    let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_ref()));
    host::send_local_response(response, headers)
        .map_err(|error| {
            log::error!("{error}: the request is left to the native routes");
            metrics::count(&DECISION_ERRORS, &[]);
        })
        .is_ok()
}

impl Pending {
    /// Puts off a request's ending, and has `ticker`, that of the stream's root context, see to it. Where `max_active`
    /// others are pending, or the host cannot keep time, the ending comes back: the request passes undelayed.
    pub(crate) fn begin<'t>(
        context: u32,
        delay: Duration,
        ending: Ending<'t>,
        max_active: u32,
        ticker: &Ticker,
    ) -> Result<Self, Ending<'t>> {
        if PENDING.with_borrow(LiteMap::len) >= usize::try_from(max_active).unwrap_or(usize::MAX) {
            metrics::count(&DELAYS_SKIPPED, &[]);
            return Err(ending);
        }
        match clock::steady_nanoseconds().and_then(|now| ticker.hasten().map(|()| now)) {
            Ok(now) => {
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                let key = (now.saturating_add(delay), context);
                PENDING.with_borrow_mut(|pending| pending.insert(key, ending.into_owned()));
                Ok(Self(key))
            }
            Err(error) => {
                log::error!("{error}: the request is not delayed");
                Err(ending)
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // It fails where the thread is about to end; then so do the delays.
        let _ended_with_the_thread = PENDING.try_with(|pending| pending.borrow_mut().remove(&self.0));
    }
}

/// Whether no delay is pending.
pub(crate) fn is_idle() -> bool {
    PENDING.with_borrow(LiteMap::is_empty)
}

/// Ends every delay of the VM that is due.
pub(crate) fn serve_due() {
    for (key, ending) in take_due() {
        let (_, context) = key;
        if let Err(error) = end(context, &ending) {
            log::error!("{error}: a delayed request waits for the next tick");
            PENDING.with_borrow_mut(|pending| pending.insert(key, ending));
        }
    }
}

/// What is due by now, in the order of its deadlines; everything if the host does not say what time it is.
fn take_due() -> Vec<(Key, Ending<'static>)> {
    let now = clock::steady_nanoseconds().unwrap_or_else(|error| {
        log::error!("{error}: all delays end now");
        u64::MAX
    });
    PENDING.with_borrow_mut(|pending| {
        let mut due = Vec::new();
        if pending.first().is_some_and(|((first, _), _)| *first <= now) {
            for (key, ending) in std::mem::take(pending) {
                if key.0 <= now {
                    due.push((key, ending));
                } else {
                    pending.insert(key, ending);
                }
            }
        }
        due
    })
}

fn end(context: u32, ending: &Ending<'_>) -> Result<(), HostError> {
    match host::set_effective_context(context) {
        Ok(()) => ending.after_delay(),
        // The stream is about to end: its client has gone.
        Err(HostError { failure: Failure::Status(Status::BadArgument), .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
