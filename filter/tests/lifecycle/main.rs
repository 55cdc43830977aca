//! The filter's life in a VM, on the native test host.

mod configure;
mod fixture;
mod requests;
