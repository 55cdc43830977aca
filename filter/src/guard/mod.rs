//! What the filter and the guards of one VM know of each other.

mod guard_context;
mod guards;
mod presence;

pub(crate) use guard_context::{Applied, GuardContext};
pub(crate) use guards::{Found, Guards, Registered};
pub(crate) use presence::Guarded;
