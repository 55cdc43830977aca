//! A program that runs until it is dropped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
};

use tokio::net::TcpStream;

use crate::{child, wait};

const LOG_LINES_SHOWN: usize = 30;

/// A server as a child process, with a log. It is killed when this is dropped, and by the kernel when its starting thread ends in
/// any other way; if the test panics, the end of its log is printed.
#[derive(Debug)]
pub struct Server {
    name: String,
    process: Mutex<Child>,
    log: PathBuf,
}

/// A command that the kernel kills when the thread that starts it has ended.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts it with its output going to this file.
///
/// # Panics
/// If it does not start.
#[must_use]
pub fn spawn(command: &mut Command, log: &Path) -> Child {
    let output = File::create(log).unwrap_or_else(|error| panic!("create {}: {error}", log.display()));
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("share a log"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"))
}

impl Server {
    /// Starts a [`command`] in `folder`, with its log there.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let process = Mutex::new(spawn(command.current_dir(folder), &log));
        Self { name: name.to_owned(), process, log }
    }

    /// Waits until `condition` gives a value.
    ///
    /// # Panics
    /// If the server ends before, or after [`wait::PATIENCE`].
    pub async fn until<T>(&self, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        wait::until(&format!("{}: {what}", self.name), async || {
            let status = self.process.lock().expect("no panic while asking").try_wait().expect("the state of a child");
            assert!(status.is_none(), "{} has ended: {status:?}", self.name);
            condition().await
        })
        .await
    }

    /// Waits until it takes connections.
    ///
    /// # Panics
    /// If it ends before, or after [`wait::PATIENCE`].
    pub async fn listens(&self, address: SocketAddr) {
        self.until(&format!("listens on {address}"), async || TcpStream::connect(address).await.ok()).await;
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            child::show_end(&self.name, &self.log(), LOG_LINES_SHOWN);
        }
    }
}
