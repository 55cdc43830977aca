//! Delays by the filter itself: a paused request is ended by the tick of a plugin.
//!
//! The pending delays are those of the VM. Whichever of its plugins ticks ends them all, so a replaced configuration's delays
//! end on time, whether its plugin lives on or not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use litemap::LiteMap;

use crate::apply::Ending;
use crate::host::{Host, HostError};
use crate::report::Registry;
use crate::report::metrics::catalogue::DELAYS_SKIPPED;
use crate::ticker::{FAST, Ticker};

/// Deadline in nanoseconds of the steady clock, then the stream's number: unique, and in the order of ending.
type Key = (u64, u32);

/// The pending delays of a VM.
#[derive(Debug, Default)]
pub(crate) struct Delays(RefCell<LiteMap<Key, Ending<'static>>>);

/// A pending delay. Dropped with its stream: of a client that has gone nothing stays behind.
#[derive(Debug)]
pub(crate) struct PendingDelay {
    delays: Rc<Delays>,
    key: Key,
}

impl Drop for PendingDelay {
    fn drop(&mut self) {
        self.delays.0.borrow_mut().remove(&self.key);
    }
}

impl Delays {
    /// Whether no delay is pending.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Puts off a request's ending, and has `ticker`, that of the stream's plugin, see to it. Where `max_active` others are
    /// pending, or the host cannot keep time, the ending comes back: the request passes undelayed.
    pub(crate) fn begin<'t>(
        self: &Rc<Self>,
        (host, registry, ticker): (&impl Host, &Registry, &Ticker),
        stream: u32,
        (delay, ending): (Duration, Ending<'t>),
        max_active: u32,
    ) -> Result<PendingDelay, Ending<'t>> {
        if self.0.borrow().len() >= usize::try_from(max_active).unwrap_or(usize::MAX) {
            registry.count(host, &DELAYS_SKIPPED, &[]);
            return Err(ending);
        }
        match host.steady_nanoseconds().and_then(|now| ticker.set(host, FAST).map(|()| now)) {
            Ok(now) => {
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                let key = (now.saturating_add(delay), stream);
                self.0.borrow_mut().insert(key, ending.into_owned());
                Ok(PendingDelay { delays: Rc::clone(self), key })
            }
            Err(error) => {
                log::error!("{error}: the request is not delayed");
                Err(ending)
            }
        }
    }

    /// Ends every delay of the VM that is due.
    pub(crate) fn end_due(&self, host: &impl Host, registry: &Registry) {
        for (key, ending) in self.take_due(host) {
            let (_, stream) = key;
            if let Err(error) = end(host, registry, stream, &ending) {
                log::error!("{error}: a delayed request waits for the next tick");
                self.0.borrow_mut().insert(key, ending);
            }
        }
    }

    /// What is due by now, in the order of its deadlines; everything if the host does not say what time it is.
    fn take_due(&self, host: &impl Host) -> Vec<(Key, Ending<'static>)> {
        let now = host.steady_nanoseconds().unwrap_or_else(|error| {
            log::error!("{error}: all delays end now");
            u64::MAX
        });
        let pending = &mut *self.0.borrow_mut();
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
    }
}

/// Ends a request, unless its client has gone.
fn end(host: &impl Host, registry: &Registry, stream: u32, ending: &Ending<'_>) -> Result<(), HostError> {
    if host.enter_stream(stream)? { ending.after_delay(host, registry) } else { Ok(()) }
}
