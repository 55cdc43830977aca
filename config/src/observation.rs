//! `metrics` and `filterState`: what the filter reports about the requests that it decides.

use crate::error::WarningCode;
use crate::node::{Fields, Node};
use crate::vocabulary;

/// What is counted. Fallbacks, delays that are skipped, configurations and errors are counted in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Whether requests, faults and mirrors are, and the responses as `responses` says.
    pub enabled: bool,
    /// Whether the classes and durations of responses are: the larger part of what metrics cost.
    pub responses: bool,
}

/// Filter state, for access logs and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterState {
    /// Whether the filter writes `wasm.canary`: the version, the reason and the route of a request in one text.
    pub enabled: bool,
    /// Whether it also writes `wasm.canary_version`, `wasm.canary_reason` and `wasm.canary_route`, one value each.
    /// Without `enabled` it writes none of them.
    pub separate: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, responses: true }
    }
}

impl Default for FilterState {
    fn default() -> Self {
        Self { enabled: true, separate: false }
    }
}

impl Metrics {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::METRICS)?;
        let defaults = Self::default();
        let metrics = Self {
            enabled: switch(&fields, "enabled", defaults.enabled),
            responses: switch(&fields, "responses", defaults.responses),
        };
        fields.finish();
        Some(metrics)
    }
}

impl FilterState {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FILTER_STATE)?;
        let defaults = Self::default();
        let state = Self {
            enabled: switch(&fields, "enabled", defaults.enabled),
            separate: switch(&fields, "separate", defaults.separate),
        };
        if state.separate && !state.enabled {
            node.warn(WarningCode::NoEffect, "separate has no effect: enabled is false, so no filter state is written");
        }
        fields.finish();
        Some(state)
    }
}

/// A boolean that may be left out.
fn switch(fields: &Fields<'_>, name: &'static str, default: bool) -> bool {
    fields.get(name).and_then(|field| field.boolean()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FilterState;
    use crate::Config;

    #[test]
    fn filter_state_is_one_object_unless_separate_is_set() {
        const NO_EFFECT: &str = "/filterState: separate has no effect";
        for (section, enabled, separate, warned) in [
            (json!(null), true, false, None),
            (json!({}), true, false, None),
            (json!({"separate": true}), true, true, None),
            (json!({"enabled": false}), false, false, None),
            (json!({"enabled": false, "separate": true}), false, true, Some(NO_EFFECT)),
        ] {
            let (config, warnings) = Config::read(&json!({"filterState": section})).unwrap();
            assert_eq!(config.filter_state, FilterState { enabled, separate }, "{section}");
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            assert_eq!(warnings.len(), usize::from(warned.is_some()), "{section}: {warnings:?}");
            assert!(warned.is_none_or(|warned| warnings.iter().all(|found| found.starts_with(warned))), "{warnings:?}");
        }
        let errors = Config::read(&json!({"filterState": {"separate": "yes", "route": true}})).unwrap_err();
        let expected = "/filterState/separate: expected a boolean, found a string\n\
                        /filterState/route: unknown field; known here: enabled, separate";
        assert_eq!(errors.to_string(), expected);
    }
}
