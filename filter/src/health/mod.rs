//! What is known of clusters and of the failures of versions.

mod accruals;
mod cluster_health;
mod exchange;
mod in_flight;
mod known;

pub(crate) use accruals::{Event, Transition};
pub(crate) use in_flight::{Awaited, InFlight, Sending};
pub(crate) use known::KnownHealth;
