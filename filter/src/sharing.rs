//! The VM's knowledge of clusters and of the failures of versions, and its exchange with the other VMs of the same id:
//! workers, and other listeners.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;

use canary_routing::{Availability, FallbackReason, Fraction};
use sdk_shims::host::{self, HostError, encode_pairs};
use sdk_shims::log;
use sdk_shims::{clock, entropy};

use crate::accruals::{Accruals, Ejected};
use crate::knowledge::{Down, Knowledge, Known};
use crate::{ejections, flight};

/// Least time from exchange to exchange, in nanoseconds: several root contexts tick in a VM, some of them faster.
const INTERVAL: u64 = 90_000_000;
/// How often an exchange is tried before the next tick has to do it.
const TRIES: usize = 4;

thread_local! {
    /// A VM is one thread, so this is the VM's.
    static KNOWLEDGE: RefCell<Knowledge> = RefCell::default();
    static ACCRUALS: RefCell<Accruals> = RefCell::default();
}

/// What the VMs of one id know together.
pub(crate) trait Common: 'static {
    /// Where they share it.
    const KEY: &'static str;

    /// When it was last exchanged.
    fn now(&self) -> u64;

    /// Takes over what the VMs share, with what this one has to tell on top, at this time; may be repeated until the others
    /// are told. What they are to share from now on, where that is something else.
    fn merge(&mut self, shared: Vec<u8>, now: u64, jitter: Fraction) -> Option<Vec<u8>>;

    /// The other VMs have been told everything.
    fn told(&mut self);

    /// Forgets what has expired where the other VMs cannot be asked.
    fn expire(&mut self, now: u64);
}

/// What was known of clusters at one time.
#[derive(Clone)]
pub(crate) struct Snapshot {
    known: Rc<Known>,
    ejected: Rc<Ejected>,
}

impl Availability for Snapshot {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.known.unavailable(cluster).or_else(|| self.ejected.unavailable(cluster))
    }

    fn may_try(&self, cluster: &str) -> bool {
        self.ejected.may_try(cluster)
    }
}

/// Forgets what the VM knew that this thread had before.
pub(crate) fn init() {
    KNOWLEDGE.take();
    ACCRUALS.take();
}

/// What is known now, without any host call.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot { known: look(Knowledge::known), ejected: accruals(|accruals| accruals.ejected()) }
}

/// Looks at what is known, without any host call.
pub(crate) fn look<T>(at: impl FnOnce(&Knowledge) -> T) -> T {
    KNOWLEDGE.with_borrow(at)
}

/// Adds to what is known, without any host call.
pub(crate) fn note(what: impl FnOnce(&mut Knowledge)) {
    KNOWLEDGE.with_borrow_mut(what);
}

/// Looks at or adds to what is known of the failures of versions, without any host call.
pub(crate) fn accruals<T>(with: impl FnOnce(&mut Accruals) -> T) -> T {
    ACCRUALS.with_borrow_mut(with)
}

/// False where the thread is about to end.
pub(crate) fn is_there() -> bool {
    ACCRUALS.try_with(|_| ()).is_ok()
}

/// When a request that begins now begins, to the tick and without any host call.
pub(crate) fn last_tick() -> u64 {
    look(Knowledge::now)
}

/// A cluster that is found unable to serve now. What could not be timed is not learned: it would never be forgotten.
pub(crate) fn down(cluster: &str, reason: FallbackReason) -> Option<Down> {
    clock::unix_nanoseconds()
        .map(|now| Down::found(reason, now))
        .map_err(|error| log::error!("{error}: {cluster} is not passed over ({})", reason.as_str()))
        .ok()
}

/// Notes that a cluster cannot serve.
pub(crate) fn learn(cluster: &str, reason: FallbackReason) {
    if let Some(down) = down(cluster, reason) {
        note(|knowledge| knowledge.learn(cluster, down));
    }
}

/// Exchanges what is known of clusters, if it is time. Called in ticks.
pub(crate) fn tick() {
    keep_up(&KNOWLEDGE);
}

/// Judges the failures of versions with the other VMs, if it is time. Called in ticks.
pub(crate) fn judge() {
    if let Err(error) = flight::judge_waiting() {
        log::error!("{error}: no request is found to be slow");
    }
    keep_up(&ACCRUALS);
    accruals(Accruals::take_news).iter().for_each(ejections::tell);
}

fn keep_up<T: Common>(common: &'static LocalKey<RefCell<T>>) {
    let now = match clock::unix_nanoseconds() {
        Ok(now) => now,
        Err(error) => {
            log::error!("{error}: no version is passed over any more");
            common.with_borrow_mut(|common| common.expire(u64::MAX));
            return;
        }
    };
    if now.abs_diff(common.with_borrow(T::now)) < INTERVAL {
        return;
    }
    if let Err(error) = exchange(common, now) {
        log::error!("{error}: what this worker has learned is not shared");
        common.with_borrow_mut(|common| common.expire(now));
    }
}

fn exchange<T: Common>(common: &'static LocalKey<RefCell<T>>, now: u64) -> Result<(), HostError> {
    let jitter = Fraction::from_bits(entropy::draw());
    for _ in 0..TRIES {
        let shared = host::shared_data(T::KEY)?;
        let (value, cas) = shared.map_or_else(|| (Vec::new(), None), |shared| (shared.value, Some(shared.cas)));
        let next = common.with_borrow_mut(|common| common.merge(value, now, jitter));
        let is_told = match (next, cas) {
            (None, _) => true,
            (Some(next), Some(cas)) => host::set_shared_data(T::KEY, &next, cas)?,
            // The first value is written over any other that comes in between, so it says nothing, and is read again.
            (Some(_), None) => {
                host::set_shared_data(T::KEY, &encode_pairs(std::iter::empty()), 0)?;
                false
            }
        };
        if is_told {
            common.with_borrow_mut(T::told);
            return Ok(());
        }
    }
    Ok(())
}
