//! Picks the version that serves a request.

mod fall_back;
mod host_policy;
mod pick;
mod resolve;
mod resolver;
mod ring;
mod split;
pub mod sticky;
mod target;

pub(crate) use host_policy::{HostPolicy, RequestedVersion, VersionHeader};
pub(crate) use resolver::Resolver;
pub(crate) use ring::Ring;
pub(crate) use split::Split;
pub(crate) use target::{Alternative, RequestLimits, Target, TargetLimits, Version};
