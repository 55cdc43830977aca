//! `faults`: how injected delays are carried out, and their limits.

use std::time::Duration;

use crate::node::Node;
use crate::values::read_duration;
use crate::vocabulary;

/// How faults are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultSettings {
    /// Who delays and aborts.
    pub delay: FaultDelayer,
    /// Most delays at a time in one worker; requests beyond pass undelayed.
    pub max_active: u32,
    /// Longest delay; longer ones are cut to it.
    pub max_delay: Duration,
}

/// Who carries out faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultDelayer {
    /// The filter itself: it pauses the request and answers aborts.
    Timer,
    /// Envoy's native fault filter, steered by headers. It must follow this filter in the chain, in header mode.
    FaultFilter,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self { delay: FaultDelayer::Timer, max_active: 100, max_delay: Duration::from_secs(30) }
    }
}

impl FaultSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FAULT_SETTINGS)?;
        let mut settings = Self::default();
        if let Some(delay) = fields.get("delay") {
            match delay.string() {
                Some("timer") | None => {}
                Some("faultFilter") => settings.delay = FaultDelayer::FaultFilter,
                Some(other) => delay.invalid(format!("delay is timer or faultFilter, not {other:?}")),
            }
        }
        if let Some(active) = fields.get("maxActive").and_then(|active| active.integer("maxActive", 0..=1_000_000)) {
            settings.max_active = active;
        }
        if let Some(delay) = fields.get("maxDelay").and_then(|delay| read_duration(&delay)) {
            settings.max_delay = delay;
        }
        fields.finish();
        Some(settings)
    }
}
