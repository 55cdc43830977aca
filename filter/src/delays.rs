//! Delays by the filter: the tick of a plugin ends the delay of a paused request.
//!
//! The pending delays belong to the VM, and the tick of any plugin ends all that are due. So the delays of a replaced
//! configuration end on time, even if its plugin is gone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use litemap::LiteMap;

use crate::apply::FinalAction;
use crate::host::{Host, HostError};
use crate::report::Registry;
use crate::report::metrics::catalogue::DELAYS_SKIPPED;
use crate::ticker::{FAST_MS, Ticker};

/// The deadline in nanoseconds of the steady clock, and the stream's id. Keys are unique and sorted by deadline.
type Key = (u64, u32);

/// The pending delays of a VM.
#[derive(Debug, Default)]
pub(crate) struct Delays(RefCell<LiteMap<Key, FinalAction<'static>>>);

/// A pending delay. Its stream owns it, so it ends if the client leaves.
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

    /// Delays a request, and makes `ticker`, which belongs to the stream's plugin, end the delay. If `max_active`
    /// delays are pending or the host fails, the action comes back and the request is not delayed.
    pub(crate) fn begin<'t>(
        self: &Rc<Self>,
        (host, registry, ticker): (&impl Host, &Registry, &Ticker),
        stream: u32,
        (delay, final_action): (Duration, FinalAction<'t>),
        max_active: u32,
    ) -> Result<PendingDelay, FinalAction<'t>> {
        if self.0.borrow().len() >= usize::try_from(max_active).unwrap_or(usize::MAX) {
            registry.count(host, &DELAYS_SKIPPED, &[]);
            return Err(final_action);
        }
        match host.steady_nanoseconds().and_then(|now| ticker.set(host, FAST_MS).map(|()| now)) {
            Ok(now) => {
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                let key = (now.saturating_add(delay), stream);
                self.0.borrow_mut().insert(key, final_action.into_owned());
                Ok(PendingDelay { delays: Rc::clone(self), key })
            }
            Err(error) => {
                log::error!("{error}: the request is not delayed");
                Err(final_action)
            }
        }
    }

    /// Ends every due delay of the VM.
    pub(crate) fn end_due(&self, host: &impl Host, registry: &Registry) {
        for (key, final_action) in self.take_due(host) {
            let (_, stream) = key;
            if let Err(error) = end(host, registry, stream, &final_action) {
                log::error!("{error}: a delayed request waits for the next tick");
                self.0.borrow_mut().insert(key, final_action);
            }
        }
    }

    /// Removes the due delays, in order of deadline. All are due if the host cannot tell the time.
    fn take_due(&self, host: &impl Host) -> Vec<(Key, FinalAction<'static>)> {
        let now = host.steady_nanoseconds().unwrap_or_else(|error| {
            log::error!("{error}: all delays end now");
            u64::MAX
        });
        let pending = &mut *self.0.borrow_mut();
        let mut due = Vec::new();
        if pending.first().is_some_and(|((first, _), _)| *first <= now) {
            for (key, final_action) in std::mem::take(pending) {
                if key.0 <= now {
                    due.push((key, final_action));
                } else {
                    pending.insert(key, final_action);
                }
            }
        }
        due
    }
}

/// Ends the delay of a request, unless its client has left.
fn end(host: &impl Host, registry: &Registry, stream: u32, final_action: &FinalAction<'_>) -> Result<(), HostError> {
    if host.enter_stream(stream)? { final_action.run_after_delay(host, registry) } else { Ok(()) }
}
