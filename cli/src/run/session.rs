//! What a run consists of.

use std::{net::SocketAddr, path::Path};

use super::rollout::EchoServer;
use crate::{address::HostPort, bootstrap::Failover};

/// Where one may look at what runs.
pub(super) struct Interfaces {
    pub(super) admin: HostPort,
    pub(super) board: Option<SocketAddr>,
}

/// What stays the same while configurations come and go.
pub(super) struct Session<'a> {
    pub(super) file: &'a Path,
    pub(super) envoy: String,
    pub(super) wasm: &'a Path,
    pub(super) failover: Failover,
    pub(super) native: EchoServer,
}
