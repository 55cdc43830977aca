//! Exchanges state between the VMs with one id: workers, and several listeners.

use std::cell::RefCell;

use canary_routing::Fraction;

use crate::host::{Host, HostError, OwnedPairs, Pairs};

/// The least time between two exchanges, in nanoseconds. A VM may have several plugins with faster ticks.
const MIN_INTERVAL: u64 = 90_000_000;
/// The number of tries. After these the next tick tries again.
const TRIES: usize = 4;

/// State that the VMs with one id share.
pub(crate) trait SharedState {
    /// The key of the shared data.
    const KEY: &'static str;

    /// The time of the last exchange.
    fn now(&self) -> u64;

    /// Replaces the state by the shared one, and adds the changes of this VM. The call may be repeated until the result
    /// is [shared](Self::mark_shared). Returns the new shared state, if it differs.
    fn merge(&mut self, shared: &impl Pairs, now: u64, jitter: Fraction) -> Option<OwnedPairs>;

    /// Call this after the other VMs can read the state.
    fn mark_shared(&mut self);

    /// Removes expired entries, for use when the exchange fails.
    fn expire(&mut self, now: u64);
}

/// Exchanges the state if it is time. Called by the tick.
pub(crate) fn exchange_if_due<T: SharedState>(host: &impl Host, known: &RefCell<T>) {
    let now = match host.unix_nanoseconds() {
        Ok(now) => now,
        Err(error) => {
            log::error!("{error}: no cluster is avoided");
            known.borrow_mut().expire(u64::MAX);
            return;
        }
    };
    if now.abs_diff(known.borrow().now()) < MIN_INTERVAL {
        return;
    }
    if let Err(error) = exchange(host, known, now) {
        log::error!("{error}: this worker does not share the health of clusters and versions");
        known.borrow_mut().expire(now);
    }
}

fn exchange<T: SharedState>(host: &impl Host, known: &RefCell<T>, now: u64) -> Result<(), HostError> {
    let jitter = Fraction::from_bits(host.random());
    for _ in 0..TRIES {
        let (next, state) = match host.shared_data(T::KEY)? {
            Some(shared) => (known.borrow_mut().merge(&shared.pairs, now, jitter), Some(shared.state)),
            None => (known.borrow_mut().merge(&OwnedPairs::default(), now, jitter), None),
        };
        let is_exchanged = match (next, state) {
            (None, _) => true,
            (Some(next), Some(state)) => host.set_shared_data(T::KEY, &next, Some(state))?,
            // The first write would overwrite a concurrent one. So write an empty state, and read it again.
            (Some(_), None) => {
                host.set_shared_data(T::KEY, &OwnedPairs::default(), None)?;
                false
            }
        };
        if is_exchanged {
            known.borrow_mut().mark_shared();
            return Ok(());
        }
    }
    Ok(())
}
