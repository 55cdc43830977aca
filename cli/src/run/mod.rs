//! `canaryctl run`: a stock Envoy on 127.0.0.1 with the filter and a configuration, followed as its file is edited.

mod admin;
mod announce;
mod board;
mod deliver;
mod envoy;
mod examples;
mod find;
mod log;
mod readiness;
mod rollout;
mod session;
mod watch;

use std::{net::Ipv4Addr, path::Path, process::ExitCode};

pub use deliver::Args as DeliverArgs;
pub(crate) use find::Surroundings;
use tokio::net::TcpListener;

use self::{
    admin::Admin,
    envoy::{Envoy, Files, Launch},
    rollout::{EchoServer, Rollout, Site},
    session::{Interfaces, Session},
    watch::Watch,
};
use crate::{
    address::HostPort,
    bootstrap::{self, Failover, NATIVE_CLUSTER, NativePart, Plan, Ports, Source},
    console,
    flags::EnvoyFlags,
    runtime,
};

/// The flags of `canaryctl run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: EnvoyFlags,
    /// Port of the board on 127.0.0.1; 0 takes a free one [default: 9902, or a free one where that is taken]
    #[arg(long, value_name = "PORT", conflicts_with = "no_board")]
    board_port: Option<u16>,
    /// Do without the board
    #[arg(long)]
    no_board: bool,
}

impl Args {
    /// Runs until SIGINT or SIGTERM (exit code 0), or until Envoy ends by itself or does not start (1).
    pub fn run(self) -> ExitCode {
        runtime::block_on(run(self))
    }
}

async fn run(args: Args) -> Result<ExitCode, String> {
    let Args { flags, board_port, no_board } = args;
    let ports = flags.ports()?;
    let surroundings = Surroundings::of_process();
    let binary = surroundings.envoy(flags.envoy.as_deref())?;
    let wasm = surroundings.wasm(flags.wasm.as_deref())?;
    if !flags.config.metadata().map_or(true, |file| file.is_file()) {
        return Err(format!("--config: {} is no file whose edits could be followed", flags.config.display()));
    }
    let watch = Watch::start(&flags.config).await;
    let version = envoy::version(&binary).await?;
    let failover = flags.failover.unwrap_or_else(|| Failover::of_version(&version));
    let Some(plan) = load(&flags.config, failover) else { return Ok(ExitCode::FAILURE) };
    bootstrap::check_upstreams(&plan.versions, &flags.upstream)?;
    check_free("--port", ports.address, ports.listener)?;
    check_free("--admin-port", ports.admin_address, ports.admin)?;
    let board = if no_board { None } else { Some(board::listen(board_port).await?) };
    let stop = runtime::termination().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let files = Files::create().map_err(|error| format!("no temporary directory: {error}"))?;
    let native =
        EchoServer::start(&Site::loopback(), 0, NATIVE_CLUSTER, "default").await.map_err(|error| error.to_string())?;
    let mut rollout = Rollout::new(&files, &wasm, &flags.upstream);
    rollout.prepare(&plan).await.map_err(|failure| failure.to_string())?;
    write_bootstrap(&files, ports, &plan, &wasm, &native.address)?;
    let launch = Launch {
        binary: &binary,
        bootstrap: &files.bootstrap(),
        admin_address: &files.admin_address(),
        concurrency: flags.concurrency,
    };
    let mut envoy = Envoy::start(&launch).map_err(|error| format!("{}: {error}", binary.display()))?;
    let session = Session {
        file: &flags.config,
        envoy: format!("Envoy {version} ({})", binary.display()),
        wasm: &wasm,
        failover,
        native,
    };
    let outcome = tokio::select! {
        () = stop => Ok(ExitCode::SUCCESS),
        ended = envoy.ended() => Err(match ended {
            Ok(status) => format!("Envoy ended by itself: {status}"),
            Err(error) => format!("Envoy is lost: {error}"),
        }),
        error = session.serve(plan, &mut rollout, watch, &files, board) => Err(error),
    };
    envoy.stop().await;
    outcome
}

/// Reads the configuration; `None` when it is refused, and then everything that is wrong has been shown.
fn load(file: &Path, failover: Failover) -> Option<Plan> {
    match Plan::load(file, failover) {
        Ok(plan) => Some(plan),
        Err(errors) => {
            errors.iter().for_each(console::complain);
            None
        }
    }
}

/// An early word; Envoy itself would only say that it cannot bind.
fn check_free(flag: &str, address: Ipv4Addr, port: u16) -> Result<(), String> {
    std::net::TcpListener::bind((address, port)).map(drop).map_err(|error| {
        format!(
            "{flag} {port}: {address}:{port} cannot be listened on: {error}; choose another port, or 0 for a free one"
        )
    })
}

fn write_bootstrap(files: &Files, ports: Ports, plan: &Plan, wasm: &Path, native: &HostPort) -> Result<(), String> {
    let source = Source::Discovery { clusters: &files.clusters(), routes: &files.routes(), filter: &files.filter() };
    let bootstrap = bootstrap::bootstrap(ports, plan, wasm, native, source);
    files.write(&files.bootstrap(), &bootstrap).map_err(|error| format!("cannot write the bootstrap: {error}"))
}

impl Session<'_> {
    /// Waits for Envoy, and then follows the file. Returns only when Envoy never gets ready, saying why.
    async fn serve(
        &self,
        plan: Plan,
        rollout: &mut Rollout<'_>,
        mut watch: Watch,
        files: &Files,
        board: Option<TcpListener>,
    ) -> String {
        let admin = match self.start(&plan, rollout, files, board).await {
            Ok(admin) => admin,
            Err(error) => return error,
        };
        let mut active = ActiveConfig::of(plan, self.file, "run");
        loop {
            watch.changed().await;
            active.renew(self.failover, rollout, &admin).await;
        }
    }

    async fn start(
        &self,
        plan: &Plan,
        rollout: &Rollout<'_>,
        files: &Files,
        board: Option<TcpListener>,
    ) -> Result<Admin, String> {
        let admin = envoy::admin(&files.admin_address()).await?;
        rollout.started(&admin).await.map_err(|failure| failure.to_string())?;
        let listener = admin.listener().await.ok_or("Envoy does not say where it listens")?;
        let board = board.map(|board| board::start(board, admin.address().clone())).transpose();
        let board = board.map_err(|error| format!("the board: {error}"))?;
        announce::started(self, plan, rollout, listener, Interfaces { admin: admin.address().clone(), board });
        Ok(admin)
    }
}

/// The configuration in force, and how another one comes into it.
struct ActiveConfig<'a> {
    file: &'a Path,
    native: NativePart,
    /// What the user has been told.
    notes: Vec<String>,
    number: u64,
    /// What has to be restarted for another native part.
    holder: &'static str,
}

impl<'a> ActiveConfig<'a> {
    fn of(plan: Plan, file: &'a Path, holder: &'static str) -> Self {
        Self { file, native: plan.native, notes: plan.notes, number: 1, holder }
    }

    /// Takes up the file as it is now, or says why not.
    async fn renew(&mut self, failover: Failover, rollout: &mut Rollout<'_>, admin: &Admin) {
        let Some(plan) = load(self.file, failover) else {
            console::complain(format_args!("edit rejected; configuration {} stays in force", self.number));
            return;
        };
        if let Some(place) = plan.native.difference(&self.native) {
            console::complain(format_args!(
                "{}: {place}: it is part of the bootstrap: restart {}; configuration {} stays in force",
                self.file.display(),
                self.holder,
                self.number
            ));
            return;
        }
        match rollout.apply(&plan, admin).await {
            Ok(before) => {
                self.number = self.number.saturating_add(1);
                announce::notes(&plan, &self.notes, rollout);
                announce::changes(&before, rollout.served());
                self.notes = plan.notes;
                console::say(format_args!("configuration {} in force", self.number));
            }
            Err(failure) => {
                console::complain(format_args!("{failure}; configuration {} stays in force", self.number));
            }
        }
    }
}
