//! The tick period of a plugin.

use std::cell::Cell;

use crate::host::{Host, HostError};

/// The period while delays are pending, in milliseconds. A delay ends at most one period late.
pub(crate) const FAST_MS: u32 = 10;
/// The period for a fallback order or failure accrual, in milliseconds. After this time every worker has the shared
/// state.
pub(crate) const SLOW_MS: u32 = 100;
pub(crate) const OFF: u32 = 0;

/// The tick of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    /// In milliseconds. [`OFF`] if there is no tick.
    period: Cell<u32>,
}

impl Ticker {
    /// Stops the tick when its plugin ends.
    pub(crate) fn stop(&self, host: &impl Host) {
        if let Err(error) = self.set(host, OFF) {
            log::error!("{error}: the tick of a removed plugin continues");
        }
    }

    /// Whether the tick runs, so that recorded outages expire in time.
    pub(crate) const fn is_running(&self) -> bool {
        self.period.get() != OFF
    }

    /// Changes the period. An unchanged period is not set again, because that would restart the tick, and it would
    /// never come under load.
    pub(crate) fn set(&self, host: &impl Host, period: u32) -> Result<(), HostError> {
        if self.period.get() != period {
            host.set_tick_period(period)?;
            self.period.set(period);
        }
        Ok(())
    }
}
