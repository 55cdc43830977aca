//! Which version serves a request, from the rule that matched to the version that is able to.

mod fall_back;
mod host_policy;
mod pick;
mod resolve;
mod ring;
mod split;
pub mod sticky;

pub(crate) use host_policy::{Asked, HostPolicy, VersionHeader};
pub(crate) use resolve::Resolver;
pub(crate) use ring::Ring;
pub(crate) use split::Split;
