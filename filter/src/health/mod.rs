//! The health of clusters and versions.

mod accruals;
mod cluster_health;
mod exchange;
mod in_flight;
mod vm_health;

pub(crate) use accruals::{Event, VersionEvent};
pub(crate) use in_flight::{AwaitedVersion, InFlight, NewRequest};
pub(crate) use vm_health::VmHealth;
