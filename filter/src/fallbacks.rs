//! Counts and tells of versions that gave way to others.
//!
//! `canary_fallbacks_total.HOST.FROM.TO.REASON`: dots in the host become `_`; no version is `-`; a version that a client
//! made up is `unknown`. The first [`MOST`] of them in a VM have names of their own, all others share
//! `canary_fallbacks_total.overflow`.

use std::cell::RefCell;
use std::collections::HashMap;

use canary_routing::FallbackReason;
use canary_routing::route::Destination;
use sdk_shims::clock;
use sdk_shims::host::Counter;
use sdk_shims::log;

const OVERFLOW: &str = "canary_fallbacks_total.overflow";
const MOST: usize = 256;
/// Least time between two lines about the same fallback, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;

/// One kind of fallback.
#[derive(Default)]
struct Kind {
    counter: Option<Counter>,
    told_at: Option<u64>,
}

thread_local! {
    /// By the counter's name. A VM is one thread.
    static KINDS: RefCell<HashMap<String, Kind>> = RefCell::default();
}

/// Forgets the counters of the VM that this thread had before.
pub(crate) fn init() {
    KINDS.take();
}

/// Counts a fallback to a destination. `from` is the version that gave way; a client may have made it up.
pub(crate) fn count(to: &Destination, from: Option<&str>, reason: FallbackReason) {
    let name = name(to, from, reason);
    KINDS.with_borrow_mut(|kinds| {
        let is_known = kinds.contains_key(&name);
        let name = if is_known || kinds.len() < MOST { name } else { OVERFLOW.to_owned() };
        let kind = kinds.entry(name.clone()).or_default();
        kind.count(&name);
        if kind.may_tell() {
            let (from, to_subset) = (from.unwrap_or("-"), to.subset.as_deref().unwrap_or("-"));
            log::info!(
                "fallback: {} from {from:?} to {to_subset:?}: {} (told once a second)",
                to.host,
                reason.as_str()
            );
        }
    });
}

fn name(to: &Destination, from: Option<&str>, reason: FallbackReason) -> String {
    let from = match reason {
        FallbackReason::UnknownVersion => "unknown",
        _ => from.unwrap_or("-"),
    };
    let host = to.host.replace('.', "_");
    let to = to.subset.as_deref().unwrap_or("-");
    format!("canary_fallbacks_total.{host}.{from}.{to}.{}", reason.as_str())
}

impl Kind {
    fn count(&mut self, name: &str) {
        let counter = self.counter.map_or_else(|| Counter::define(name), Ok);
        let counted = counter.and_then(|counter| {
            self.counter = Some(counter);
            counter.increment()
        });
        if let Err(error) = counted {
            log::error!("{error}: {name} lacks one");
        }
    }

    fn may_tell(&mut self) -> bool {
        let now = clock::steady_nanoseconds().unwrap_or_default();
        let may = self.told_at.is_none_or(|at| now.abs_diff(at) >= SILENCE);
        if may {
            self.told_at = Some(now);
        }
        may
    }
}
