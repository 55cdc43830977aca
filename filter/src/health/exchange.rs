//! The exchange of what the VMs of one id know: workers, and other listeners.

use std::cell::RefCell;

use canary_routing::Fraction;

use crate::host::{Host, HostError, OwnedPairs, Pairs};

/// Least time from exchange to exchange, in nanoseconds: several plugins tick in a VM, some of them faster.
const INTERVAL: u64 = 90_000_000;
/// How often an exchange is tried before the next tick has to do it.
const TRIES: usize = 4;

/// What the VMs of one id know together.
pub(crate) trait Exchanged {
    /// Where they share it.
    const KEY: &'static str;

    /// When it was last exchanged.
    fn now(&self) -> u64;

    /// Takes over what the VMs share at this time, and adds what only this one knows. May be repeated until it is
    /// [`exchanged`](Self::exchanged). What they are to share from now on, where that is something else.
    fn merge(&mut self, shared: &impl Pairs, now: u64, jitter: Fraction) -> Option<OwnedPairs>;

    /// The other VMs know everything.
    fn exchanged(&mut self);

    /// Forgets what has expired where the other VMs cannot be asked.
    fn expire(&mut self, now: u64);
}

/// Exchanges what is known with the other VMs, if it is time. Called in ticks.
pub(crate) fn keep_up<T: Exchanged>(host: &impl Host, known: &RefCell<T>) {
    let now = match host.unix_nanoseconds() {
        Ok(now) => now,
        Err(error) => {
            log::error!("{error}: no version is passed over any more");
            known.borrow_mut().expire(u64::MAX);
            return;
        }
    };
    if now.abs_diff(known.borrow().now()) < INTERVAL {
        return;
    }
    if let Err(error) = exchange(host, known, now) {
        log::error!("{error}: what this worker has learned is not shared");
        known.borrow_mut().expire(now);
    }
}

fn exchange<T: Exchanged>(host: &impl Host, known: &RefCell<T>, now: u64) -> Result<(), HostError> {
    let jitter = Fraction::from_bits(host.random());
    for _ in 0..TRIES {
        let (next, state) = match host.shared_data(T::KEY)? {
            Some(shared) => (known.borrow_mut().merge(&shared.pairs, now, jitter), Some(shared.state)),
            None => (known.borrow_mut().merge(&OwnedPairs::default(), now, jitter), None),
        };
        let is_exchanged = match (next, state) {
            (None, _) => true,
            (Some(next), Some(state)) => host.set_shared_data(T::KEY, &next, Some(state))?,
            // The first value is written over any other that comes in between, so it says nothing, and is read again.
            (Some(_), None) => {
                host.set_shared_data(T::KEY, &OwnedPairs::default(), None)?;
                false
            }
        };
        if is_exchanged {
            known.borrow_mut().exchanged();
            return Ok(());
        }
    }
    Ok(())
}
