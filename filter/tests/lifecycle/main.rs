//! The filter's callbacks in a VM, on the native test host.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod accrual;
mod candidate;
mod claims;
mod configure;
mod delays;
mod failing_host;
mod failover;
mod fixture;
mod forwarding;
mod metrics;
mod native_faults;
mod overrides;
mod replies;
mod requests;
mod slow;
mod trials;
mod users;
