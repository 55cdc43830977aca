//! The Envoy process.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{admin::Admin, log};

/// How long Envoy may take to answer on its admin port.
const START: Duration = Duration::from_secs(20);
/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(10);
/// How long it may take to end when asked to.
const STOP: Duration = Duration::from_secs(2);
/// How long its last words may take to arrive after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How to start an Envoy.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) binary: &'a Path,
    pub(super) bootstrap: &'a Path,
    /// Where Envoy is to write the address of its admin interface.
    pub(super) admin_address: &'a Path,
    pub(super) concurrency: u32,
}

/// A running Envoy. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Envoy {
    child: Child,
    output: [JoinHandle<()>; 2],
}

impl Envoy {
    /// Starts the process, and shows what it writes from now on.
    pub(super) fn start(launch: &Launch<'_>) -> io::Result<Self> {
        // By a process that becomes Envoy and ends with this one, however this one ends.
        let mut child = Command::new(std::env::current_exe()?)
            .args(["attached", "--parent", &std::process::id().to_string(), "--"])
            .arg(launch.binary)
            .arg("--config-path")
            .arg(launch.bootstrap)
            .arg("--admin-address-path")
            .arg(launch.admin_address)
            .args(["--concurrency", &launch.concurrency.to_string()])
            .args(["--log-level", "error", "--component-log-level", "wasm:warning,config:warning"])
            .args(["--log-format", log::LOG_FORMAT])
            // The access log reaches the terminal while the request is still remembered.
            .args(["--file-flush-interval-msec", "50"])
            // Nothing that outlives the process, and no quarrel with other Envoys over shared memory.
            .arg("--disable-hot-restart")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for `run`, which then ends Envoy.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let decisions = tokio::spawn(async move {
            if let Some(stdout) = stdout {
                log::show_decisions(stdout).await;
            }
        });
        let messages = tokio::spawn(async move {
            if let Some(stderr) = stderr {
                log::show_messages(stderr).await;
            }
        });
        Ok(Self { child, output: [decisions, messages] })
    }

    /// Ready when the process has ended by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process, unless it has ended, and waits until it is gone and everything it wrote is shown.
    pub(super) async fn stop(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let asked = id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok());
        if !asked || timeout(STOP, self.child.wait()).await.is_err() {
            // An error means that it has ended already.
            let _ = self.child.kill().await;
        }
        for task in self.output {
            let _ = timeout(LAST_WORDS, task).await;
        }
    }
}

/// Waits until Envoy answers on its admin interface.
pub(super) async fn admin(address_file: &Path) -> Result<Admin, String> {
    let poll = async {
        loop {
            let address = tokio::fs::read_to_string(address_file).await.unwrap_or_default();
            if let Ok(address) = address.trim().parse() {
                let admin = Admin::new(address);
                if admin.is_ready().await {
                    return admin;
                }
            }
            sleep(PAUSE).await;
        }
    };
    timeout(START, poll).await.map_err(|_| format!("Envoy did not get ready within {START:?}"))
}

/// The version of an Envoy binary, such as `1.40.0`.
pub(super) async fn version(binary: &Path) -> Result<String, String> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(START, output).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten();
    let output = output.map_err(|error| format!("{}: cannot be run: {error}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_once("version: ").and_then(|(_, version)| version.split('/').nth(1));
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: not an Envoy: `--version` says {:?}", binary.display(), text.trim()))
}

/// The files of one run.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// Kept so that the directory goes with it.
    _own: Option<tempfile::TempDir>,
}

impl Files {
    /// A directory of its own, gone when this is dropped.
    pub(super) fn create() -> io::Result<Self> {
        let own = tempfile::Builder::new().prefix("canaryctl-").tempdir()?;
        Ok(Self { directory: own.path().to_owned(), _own: Some(own) })
    }

    /// A directory of somebody else's, which stays.
    pub(super) fn within(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), _own: None }
    }

    pub(super) fn bootstrap(&self) -> PathBuf {
        self.directory.join("bootstrap.json")
    }

    pub(super) fn clusters(&self) -> PathBuf {
        self.directory.join("cds.json")
    }

    pub(super) fn routes(&self) -> PathBuf {
        self.directory.join("rds.json")
    }

    pub(super) fn filter(&self) -> PathBuf {
        self.directory.join("ecds.json")
    }

    pub(super) fn admin_address(&self) -> PathBuf {
        self.directory.join("admin-address")
    }

    /// Writes a file as a whole: Envoy watches for renames, and never sees half of it.
    pub(super) fn write(&self, path: &Path, content: &serde_json::Value) -> io::Result<()> {
        let next = self.directory.join("next.json");
        std::fs::write(&next, content.to_string())?;
        std::fs::rename(next, path)
    }
}
