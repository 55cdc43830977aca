//! Which version serves a request, from the rule that matched to the version that is able to.

mod fall_back;
mod host_policy;
mod pick;
mod resolve;
mod resolver;
mod ring;
mod split;
pub mod sticky;
mod target;

pub(crate) use host_policy::{Asked, HostPolicy, VersionHeader};
pub(crate) use resolver::Resolver;
pub(crate) use ring::Ring;
pub(crate) use split::Split;
pub(crate) use target::{Alternative, RequestLimits, Target, TargetLimits, Version};
