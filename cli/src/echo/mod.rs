//! `canaryctl echo`: a small server that answers with what it was asked, and calls other services on the way.
//!
//! It stands in for a version of a service. The answer to every request is
//!
//! ```json
//! {"service": "reviews", "version": "v2", "method": "GET", "path": "/reviews/1?x=1", "authority": "reviews:9080",
//!  "headers": [["end-user", "jason"]], "calls": [{"url": "http://ratings:9080/ratings/1", "status": 200, "body": {}}]}
//! ```
//!
//! - `path` keeps its query; `authority` is the Host header or `:authority`.
//! - `headers` has every line that arrived. Bytes that are no UTF-8 are shown as U+FFFD.
//! - A call that fails is `{"url": …, "error": …}`; it changes nothing of this server's own status.
//! - A gRPC call gets the same JSON as a `google.protobuf.StringValue`, and the status OK.
//! - `/healthz` says whether the server takes requests: 200, or 503 once it was told to stop. It calls nobody.
//! - `/status/N` (200 to 599) and `/delay/DURATION` (`2s`, `1.5s`, `250ms`), anywhere in the path, set the status and
//!   how long the server waits first. Delays add up, the last status wins.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge are served on the same port.

mod body;
mod calls;
mod directives;
mod grpc;
mod server;

use std::{process::ExitCode, time::Duration};

pub use calls::CallUrl;
pub(crate) use server::HEALTH;
pub use server::{Echo, Server};

use crate::{address::HostPort, console, flags, runtime};

/// The flags of `canaryctl echo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: HostPort,
    /// Name of the service to answer as
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Version of the service to answer as
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// URL to call for every request, trace and user headers passed on; may be repeated, called in order
    #[arg(long, value_name = "URL")]
    call: Vec<CallUrl>,
    /// Connect every call to this address, so that it goes through a proxy; the URL's host stays the Host header
    #[arg(long, value_name = "HOST:PORT")]
    via: Option<HostPort>,
    /// Print a line for each request that was answered
    #[arg(long)]
    log: bool,
    /// How long to answer new requests after a signal to stop, while /healthz says 503, such as 2s
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = flags::duration)]
    drain: Duration,
}

impl Args {
    /// Serves until SIGINT or SIGTERM, then answers what is under way and ends.
    pub fn run(self) -> ExitCode {
        runtime::block_on(async {
            let name = format!("{} {}", self.service, self.version);
            let listen = self.listen.to_string();
            let echo = Echo {
                service: self.service,
                version: self.version,
                calls: self.call,
                via: self.via,
                log: self.log,
                drain: self.drain,
            };
            let server = Server::bind(&listen, echo).await.map_err(|error| format!("--listen {listen}: {error}"))?;
            let stop = runtime::termination().map_err(|error| format!("cannot wait for signals: {error}"))?;
            console::say(format_args!("{name} listens on {}", server.address()));
            server.serve(stop).await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
