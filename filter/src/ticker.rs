//! The tick of a root context: it ends delays, and keeps what is known of clusters up to date.

use std::cell::Cell;

use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use crate::{delays, sharing};

/// Milliseconds from tick to tick while delays are pending: one ends within one of them.
const FAST: u32 = 10;
/// Milliseconds from tick to tick where policies have a fallback order: after so long every worker knows what one knows.
const SLOW: u32 = 100;
const OFF: u32 = 0;

/// The tick of one root context.
#[derive(Default)]
pub(crate) struct Ticker {
    /// In milliseconds; [`OFF`] while there is none.
    period: Cell<u32>,
    watches: Cell<Watches>,
}

/// What matters to a configuration of what is known of clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watches {
    #[default]
    Nothing,
    /// Whether they can serve.
    Clusters,
    /// Whether they can, and how often they fail.
    Failures,
}

impl Ticker {
    /// Ticks often enough for delays from now on.
    pub(crate) fn hasten(&self) -> Result<(), HostError> {
        self.set(FAST)
    }

    /// Ends the tick with its root context.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.set(OFF) {
            log::error!("{error}: the tick goes on for nothing");
        }
    }

    /// A configuration has come into force. The delays that older root contexts have begun are served, too: theirs may end
    /// before them.
    pub(crate) fn configured(&self, watches: Watches) {
        self.watches.set(watches);
        if let Err(error) = self.set(self.wanted()) {
            log::error!("{error}: pending delays are left to the configuration before");
        }
        // A VM that starts knows at once what the others know.
        self.watch();
    }

    /// Whether what is learned of clusters will be forgotten in time.
    pub(crate) const fn is_running(&self) -> bool {
        self.period.get() != OFF
    }

    /// Called in the tick of the root context.
    pub(crate) fn on_tick(&self) {
        let is_idle = delays::is_idle();
        if !is_idle {
            delays::serve_due();
        }
        self.watch();
        if is_idle && let Err(error) = self.set(self.wanted()) {
            log::error!("{error}: the tick goes on as it was");
        }
    }

    fn watch(&self) {
        if self.watches.get() >= Watches::Clusters {
            sharing::tick();
        }
        if self.watches.get() >= Watches::Failures {
            sharing::judge();
        }
    }

    fn wanted(&self) -> u32 {
        match (delays::is_idle(), self.watches.get()) {
            (false, _) => FAST,
            (true, Watches::Clusters | Watches::Failures) => SLOW,
            (true, Watches::Nothing) => OFF,
        }
    }

    /// Setting the period starts the tick anew: done for each request it would never come.
    fn set(&self, period: u32) -> Result<(), HostError> {
        if self.period.get() != period {
            host::set_tick_period(period)?;
            self.period.set(period);
        }
        Ok(())
    }
}
