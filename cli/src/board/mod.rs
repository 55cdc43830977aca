//! `canaryctl board`: one page that shows what a running Envoy does, by its own statistics.
//!
//! Envoy is asked once a second, however many browsers look; the last 15 minutes are kept in memory, nothing is written.
//! The page is part of the binary and loads nothing from elsewhere. Besides it there are
//!
//! - `GET /api/state?window=60|300|900`: everything that is shown, of the last so many seconds
//! - `POST /api/explain` with `{"method": "GET", "url": "http://reviews:9080/1", "headers": ["end-user: jason"]}`: what
//!   `canaryctl explain` says, by the configuration that Envoy has loaded

mod envoy;
mod explanation;
mod history;
mod loaded;
mod server;
mod state;
mod stats;
mod watch;

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use tokio::net::TcpListener;

pub(crate) use self::envoy::EnvoyUrl;
use self::{server::Names, watch::Watch};
use crate::{address::HostPort, console, runtime, serve};

/// Where a board listens unless it is told otherwise.
pub(crate) const PORT: u16 = 9902;

/// Show what a running Envoy does, in a browser
///
/// Reads the filter's metrics from Envoy's admin interface once a second, and changes nothing. It has no login: whoever
/// reaches it sees the names of services and versions, and where requests go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// URL of Envoy's admin interface
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    envoy: EnvoyUrl,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value_t = HostPort::loopback(PORT))]
    listen: HostPort,
    /// Explain requests by this file, YAML or JSON [default: by the configuration that Envoy has loaded]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A name by which browsers may ask for the board, beside localhost, IP addresses and that of --listen; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
}

impl Args {
    /// Serves until SIGINT or SIGTERM.
    pub fn run(self) -> ExitCode {
        runtime::block_on(async {
            let names = [self.allow_host, vec![self.listen.host().to_owned()]].concat();
            let listen = self.listen.to_string();
            let listener = TcpListener::bind(&listen).await.map_err(|error| format!("--listen {listen}: {error}"))?;
            let board = Board::new(listener, self.envoy.clone(), self.config, names)
                .map_err(|error| format!("--listen {listen}: {error}"))?;
            let stop = runtime::termination().map_err(|error| format!("cannot wait for signals: {error}"))?;
            let address = board.address();
            if !address.ip().is_loopback() {
                console::complain(format_args!(
                    "warning: --listen {listen}: the board has no login, and whoever reaches {address} can read it"
                ));
            }
            console::say(format_args!("board of {} on http://{address}", self.envoy));
            board.serve(stop).await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A board that has its port and does not serve yet.
#[derive(Debug)]
pub(crate) struct Board {
    listener: TcpListener,
    address: SocketAddr,
    watch: Watch,
    names: Names,
}

impl Board {
    /// A board of an Envoy for browsers that ask by one of `names`, a local name or an address.
    pub(crate) fn new(
        listener: TcpListener,
        envoy: EnvoyUrl,
        config: Option<PathBuf>,
        names: Vec<String>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, watch: Watch::new(envoy, config), names: Names(names) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Watches and serves until `stop` is ready.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) {
        let (watch, names) = (Arc::new(self.watch), Arc::new(self.names));
        let looking = Arc::clone(&watch);
        let answer = move |request| server::answer(Arc::clone(&watch), Arc::clone(&names), request);
        tokio::select! {
            () = looking.run() => {}
            () = serve::serve(self.listener, answer, stop) => {}
        }
    }
}
