//! `metrics` and `filterState`: what the filter tells of the requests that it decides.

use crate::node::{Fields, Node};

/// What is counted. Fallbacks, delays that are skipped, configurations and errors are counted in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Whether requests, faults and mirrors are, and the responses as `responses` says.
    pub enabled: bool,
    /// Whether the classes and durations of responses are: the larger part of what metrics cost.
    pub responses: bool,
}

/// Whether access logs and traces can name the route, the version and the reason of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterState {
    /// Whether the filter says them.
    pub enabled: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, responses: true }
    }
}

impl Default for FilterState {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Metrics {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let metrics = Self { enabled: switch(&fields, "enabled"), responses: switch(&fields, "responses") };
        fields.finish();
        Some(metrics)
    }
}

impl FilterState {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let state = Self { enabled: switch(&fields, "enabled") };
        fields.finish();
        Some(state)
    }
}

/// On unless it is switched off.
fn switch(fields: &Fields<'_>, name: &'static str) -> bool {
    fields.get(name).and_then(|field| field.boolean()).unwrap_or(true)
}
