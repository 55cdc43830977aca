//! Reports decisions: metrics, filter state, log lines and explanations.

pub(crate) mod candidate;
pub(crate) mod configuration;
pub(crate) mod ejections;
mod explanation;
pub(crate) mod fallbacks;
pub(crate) mod filter_state;
mod log_limit;
pub(crate) mod metrics;
pub(crate) mod permissions;

pub(crate) use explanation::Explanation;
pub(crate) use filter_state::TextBuffer;
pub(crate) use log_limit::LogLimit;
pub(crate) use metrics::Registry;
