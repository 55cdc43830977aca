//! The tick of a plugin: how often it comes.

use std::cell::Cell;

use crate::host::{Host, HostError};

/// Milliseconds from tick to tick while delays are pending: one ends within one of them.
pub(crate) const FAST: u32 = 10;
/// Milliseconds from tick to tick where policies have a fallback order: after so long every worker knows what one knows.
pub(crate) const SLOW: u32 = 100;
pub(crate) const OFF: u32 = 0;

/// The tick of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    /// In milliseconds; [`OFF`] while there is none.
    period: Cell<u32>,
}

impl Ticker {
    /// Ends the tick with its plugin.
    pub(crate) fn stop(&self, host: &impl Host) {
        if let Err(error) = self.set(host, OFF) {
            log::error!("{error}: the tick goes on for nothing");
        }
    }

    /// Whether what is learned of clusters will be forgotten in time.
    pub(crate) const fn is_running(&self) -> bool {
        self.period.get() != OFF
    }

    /// Ticks so often from now on. To set the period starts the tick anew: done for each request it would never come.
    pub(crate) fn set(&self, host: &impl Host, period: u32) -> Result<(), HostError> {
        if self.period.get() != period {
            host.set_tick_period(period)?;
            self.period.set(period);
        }
        Ok(())
    }
}
