//! The VM's knowledge of clusters, and its exchange with the other VMs of the same id: workers, and other listeners.

use std::cell::RefCell;

use canary_routing::FallbackReason;
use sdk_shims::clock;
use sdk_shims::host::{self, HostError, Shared};
use sdk_shims::log;

use crate::knowledge::Knowledge;

/// Where the VMs share what they know.
const KEY: &str = "canary_clusters";
/// Least time from exchange to exchange, in nanoseconds: several root contexts tick in a VM, some of them faster.
const INTERVAL: u64 = 90_000_000;
/// How often an exchange is tried before the next tick has to do it.
const TRIES: usize = 4;

thread_local! {
    /// A VM is one thread, so this is the VM's.
    static KNOWLEDGE: RefCell<Knowledge> = RefCell::default();
}

/// Forgets what the VM knew that this thread had before.
pub(crate) fn init() {
    KNOWLEDGE.take();
}

/// Looks at what is known, without any host call.
pub(crate) fn look<T>(at: impl FnOnce(&Knowledge) -> T) -> T {
    KNOWLEDGE.with_borrow(at)
}

/// Adds to what is known, without any host call.
pub(crate) fn note(what: impl FnOnce(&mut Knowledge)) {
    KNOWLEDGE.with_borrow_mut(what);
}

/// Notes that a cluster cannot serve. What could not be timed is not learned: it would never be forgotten.
pub(crate) fn learn(cluster: &str, reason: FallbackReason) {
    match clock::unix_nanoseconds() {
        Ok(now) => note(|knowledge| knowledge.learn(cluster, reason, now)),
        Err(error) => log::error!("{error}: {cluster} is not passed over ({})", reason.as_str()),
    }
}

/// Exchanges what is known, if it is time. Called in ticks.
pub(crate) fn tick() {
    let now = match clock::unix_nanoseconds() {
        Ok(now) => now,
        Err(error) => {
            log::error!("{error}: no cluster is passed over any more");
            note(|knowledge| knowledge.expire(u64::MAX));
            return;
        }
    };
    if look(|knowledge| now.abs_diff(knowledge.now()) < INTERVAL) {
        return;
    }
    if let Err(error) = exchange(now) {
        log::error!("{error}: what this worker knows of clusters is not shared");
        note(|knowledge| knowledge.expire(now));
    }
}

fn exchange(now: u64) -> Result<(), HostError> {
    for _ in 0..TRIES {
        let shared = host::shared_data(KEY)?;
        let is_first = shared.is_none();
        let Shared { value, cas } = shared.unwrap_or(Shared { value: Vec::new(), cas: 0 });
        let Some(next) = KNOWLEDGE.with_borrow_mut(|knowledge| knowledge.merge(value, now)) else {
            note(Knowledge::told);
            return Ok(());
        };
        // The first value is written over any other that comes in between, so it is read again.
        if host::set_shared_data(KEY, &next, cas)? && !is_first {
            note(Knowledge::told);
            return Ok(());
        }
    }
    Ok(())
}
