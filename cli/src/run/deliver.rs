//! `canaryctl deliver`: brings a configuration into an Envoy that runs elsewhere, by files that it reads.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::sleep;

use super::{
    ActiveConfig,
    admin::Admin,
    announce,
    envoy::Files,
    load,
    readiness::Readiness,
    rollout::{EchoServer, Rollout, Site},
    watch::Watch,
    write_bootstrap,
};
use crate::{
    address::HostPort,
    bootstrap::{self, Failover, NATIVE_CLUSTER, Plan, Ports, Upstream},
    console, runtime,
};

/// How often Envoy is asked whether it has come up.
const PAUSE: Duration = Duration::from_millis(50);

/// The flags of `canaryctl deliver`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Directory that Envoy reads: bootstrap.json, cds.json, rds.json and ecds.json are written into it, by renames
    #[arg(long, value_name = "DIRECTORY")]
    files: PathBuf,
    /// The filter's module, as Envoy finds it
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// Envoy's admin interface, which says whether a configuration was taken
    #[arg(long, value_name = "HOST:PORT")]
    admin: HostPort,
    /// How Envoy reaches this process: the server behind the proxy's own routes has this port, and the echo servers of versions
    /// without --upstream have free ones
    #[arg(long, value_name = "HOST:PORT")]
    here: HostPort,
    /// Port of Envoy's listener
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// Address that Envoy and the servers of this process listen on; 0.0.0.0 in containers, where others have to reach them
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    listen: Ipv4Addr,
    /// Who serves a version, asked by /healthz whether it is ready, or `none` to leave its cluster out; may be repeated, and may
    /// name what the configuration has no use for [default: an echo server]
    #[arg(long, value_name = "SERVICE/SUBSET=HOST:PORT|none")]
    upstream: Vec<Upstream>,
    /// How Envoy goes from a version that cannot serve to the next: composite from Envoy 1.40 on
    #[arg(long, value_enum, default_value_t = Failover::Aggregate)]
    failover: Failover,
}

impl Args {
    /// Runs until SIGINT or SIGTERM (exit code 0), unless the first configuration is bad (1).
    pub fn run(self) -> ExitCode {
        runtime::block_on(self.deliver())
    }

    async fn deliver(self) -> Result<ExitCode, String> {
        let watch = Watch::start(&self.config).await;
        let Some(plan) = load(&self.config, self.failover) else { return Ok(ExitCode::FAILURE) };
        let stop = runtime::termination().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let files = Files::within(&self.files);
        let site = Site { listen: self.listen, host: self.here.host().to_owned() };
        let readiness = Readiness::start(bootstrap::upstream_addresses(&self.upstream)).await;
        let rollout = Rollout::new(&files, &self.wasm, &self.upstream);
        let mut rollout = rollout.elsewhere(site.clone(), readiness.clone(), milliseconds_of_the_clock());
        rollout.find(&Admin::new(self.admin.clone())).await;
        rollout.prepare(&plan).await.map_err(|failure| in_directory(&self.files, failure))?;
        let (address, admin) = (self.listen, self.admin.port());
        let ports = Ports { address, listener: self.port, admin_address: address, admin };
        write_bootstrap(&files, ports, &plan, &self.wasm, &self.here)?;
        // Whoever gets an answer from this server knows that the files are there.
        let _native = EchoServer::start(&site, self.here.port(), NATIVE_CLUSTER, "default")
            .await
            .map_err(|error| format!("--here {}: {error}", self.here))?;
        tokio::select! {
            () = stop => Ok(ExitCode::SUCCESS),
            error = self.follow(plan, &mut rollout, watch, readiness) => Err(error),
        }
    }

    /// Waits for Envoy, and then follows the file and the upstreams. Returns only when Envoy does not take the first configuration.
    async fn follow(
        &self,
        plan: Plan,
        rollout: &mut Rollout<'_>,
        mut watch: Watch,
        mut readiness: Readiness,
    ) -> String {
        let admin = Admin::new(self.admin.clone());
        while !admin.is_ready().await {
            sleep(PAUSE).await;
        }
        if let Err(failure) = rollout.started(&admin).await {
            return failure.to_string();
        }
        announce::notes(&plan, &[], rollout);
        announce::changes(&[], rollout.served());
        let mut active = ActiveConfig::of(plan, &self.config, "canaryctl deliver, and then Envoy");
        console::say("configuration 1 in force; edits of the file are followed");
        loop {
            tokio::select! {
                () = watch.changed() => active.renew(self.failover, rollout, &admin).await,
                () = readiness.changed() => match rollout.follow_readiness(&admin).await {
                    Ok(before) => announce::changes(&before, rollout.served()),
                    Err(failure) => console::complain(failure),
                },
            }
        }
    }
}

fn in_directory(directory: &Path, failure: impl std::fmt::Display) -> String {
    format!("--files {}: {failure}", directory.display())
}

/// Higher than the version that any earlier run has told Envoy.
fn milliseconds_of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
