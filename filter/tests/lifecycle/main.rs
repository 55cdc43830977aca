//! The filter's life in a VM, on the native test host.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod accrual;
mod claims;
mod configure;
mod delays;
mod failing_host;
mod fixture;
mod forwarding;
mod guard;
mod guard_faults;
mod metrics;
mod native_faults;
mod replies;
mod requests;
mod slow;
mod trials;
