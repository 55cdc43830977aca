//! What the flags of several subcommands have in common.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use canary_config::duration;

use crate::bootstrap::{Failover, Ports, Upstream};

/// A duration as the configuration writes it.
///
/// # Errors
/// When it is none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "give a duration, such as 2s or 500ms".to_owned())
}

/// The flags that `canaryctl run` and `canaryctl render bootstrap` share: a configuration, and the Envoy that is to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct EnvoyFlags {
    /// The configuration file, YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Address that the listener binds to; 0.0.0.0 is every address of this machine. The admin interface stays on 127.0.0.1
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    listen: Ipv4Addr,
    /// Port of the listener on that address, by default 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// Port of Envoy's admin interface on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// The Envoy binary [default: $ENVOY, else `envoy` in $PATH, else what `make envoy` fetched]
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy: Option<PathBuf>,
    /// The filter's module [default: $CANARY_WASM, else dist/canary_filter.wasm here or beside canaryctl]
    #[arg(long, value_name = "FILE")]
    pub(crate) wasm: Option<PathBuf>,
    /// Number of Envoy's worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: u32,
    /// Who serves a version: an address, or `none` to leave its cluster out; may be repeated [default: an echo server]
    #[arg(long, value_name = "SERVICE/SUBSET=HOST:PORT|none")]
    pub(crate) upstream: Vec<Upstream>,
    /// How Envoy goes from a version that cannot serve to the next [default: run asks the Envoy, composite from 1.40 on;
    /// aggregate for render]
    #[arg(long, value_enum)]
    pub(crate) failover: Option<Failover>,
}

impl EnvoyFlags {
    /// The two ports.
    ///
    /// # Errors
    /// When they are the same.
    pub(crate) fn ports(&self) -> Result<Ports, String> {
        if self.port == self.admin_port && self.port != 0 {
            return Err(format!("--port and --admin-port are both {}", self.port));
        }
        Ok(Ports {
            address: self.listen,
            listener: self.port,
            admin_address: Ipv4Addr::LOCALHOST,
            admin: self.admin_port,
        })
    }
}
