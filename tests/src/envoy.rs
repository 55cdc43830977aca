//! A running Envoy, its admin interface and its log.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    binaries::EnvoyBinary,
    child,
    client::{Connection, Protocol, Request},
    wait,
};

const LOG_LINES_SHOWN: usize = 60;
/// Short, so that connections of a replaced listener end during a test.
const DRAIN_SECONDS: &str = "2";
const FLUSH_MILLISECONDS: &str = "20";
/// More than one, to test the exchange between workers.
const WORKERS: u8 = 2;

/// An Envoy as a child process. It is killed when this is dropped; if the test panics, the end of its log is printed.
#[derive(Debug)]
pub struct Envoy {
    process: Mutex<Child>,
    log: PathBuf,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts Envoy in `folder`, the base of relative paths in the bootstrap, and waits until it is live.
    ///
    /// # Panics
    /// If it ends before; its log is in the message.
    pub async fn start(binary: &EnvoyBinary, folder: &Path, bootstrap: &Path) -> Self {
        Self::start_with(binary, folder, bootstrap, WORKERS).await
    }

    /// The same with so many worker threads.
    ///
    /// # Panics
    /// If it ends before; its log is in the message.
    pub async fn start_with(binary: &EnvoyBinary, folder: &Path, bootstrap: &Path, workers: u8) -> Self {
        let log = folder.join("envoy.log");
        let admin_address = folder.join("admin-address");
        let output = File::create(&log).expect("create Envoy's log");
        let process = Command::new(&binary.path)
            .arg("--config-path")
            .arg(bootstrap)
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--concurrency", &workers.to_string(), "--disable-hot-restart", "--use-dynamic-base-id"])
            .args(["--drain-time-s", DRAIN_SECONDS, "--file-flush-interval-msec", FLUSH_MILLISECONDS])
            .args(["--log-level", "warning", "--component-log-level", "wasm:info"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("share Envoy's log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", binary.path.display()));
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self { process: Mutex::new(process), log, admin: unspecified };
        envoy.admin = wait::until("Envoy's admin interface", async || {
            envoy.assert_running();
            fs::read_to_string(&admin_address).ok()?.parse().ok()
        })
        .await;
        envoy.wait_until_live().await;
        envoy
    }

    /// Waits for a live Envoy that `process` runs. The process is killed instead of it. Its admin interface is at `admin`, and both
    /// write to `log`.
    ///
    /// # Panics
    /// If it ends before; its log is in the message.
    pub async fn run_by(process: Child, log: PathBuf, admin: SocketAddr) -> Self {
        let envoy = Self { process: Mutex::new(process), log, admin };
        envoy.wait_until_live().await;
        envoy
    }

    async fn wait_until_live(&self) {
        wait::until("Envoy is live", async || {
            self.assert_running();
            (self.try_admin("/ready").await.ok()?.trim() == "LIVE").then_some(())
        })
        .await;
    }

    /// Where the listener of this name listens.
    ///
    /// # Panics
    /// If there is none.
    pub async fn listener(&self, name: &str) -> SocketAddr {
        wait::until(&format!("the listener {name}"), async || {
            let listeners: Value = serde_json::from_str(&self.admin("/listeners?format=json").await).ok()?;
            let listener =
                listeners["listener_statuses"].as_array()?.iter().find(|listener| listener["name"] == name)?;
            let port = listener["local_address"]["socket_address"]["port_value"].as_u64()?;
            Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?)))
        })
        .await
    }

    /// Where the admin interface listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The answer of the admin interface to GET `path`.
    ///
    /// # Panics
    /// If there is none.
    pub async fn admin(&self, path: &str) -> String {
        self.try_admin(path).await.unwrap_or_else(|error| panic!("the admin interface, {path}: {error}"))
    }

    /// The value of a counter or gauge; 0 while Envoy does not know it.
    pub async fn stat(&self, name: &str) -> u64 {
        let pattern = name.replace('.', "\\.").replace('|', "%5C%7C");
        let stats = self.admin(&format!("/stats?filter=^{pattern}$")).await;
        stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok()).unwrap_or(0)
    }

    /// Waits until a counter is at least `value`.
    pub async fn wait_for_stat(&self, name: &str, value: u64) {
        wait::until(&format!("{name} ≥ {value}"), async || (self.stat(name).await >= value).then_some(())).await;
    }

    /// How many endpoints a cluster has; `None` while Envoy does not know it.
    ///
    /// # Panics
    /// If the admin interface does not say.
    pub async fn endpoints(&self, cluster: &str) -> Option<usize> {
        let clusters: Value =
            serde_json::from_str(&self.admin("/clusters?format=json").await).expect("the clusters as JSON");
        let clusters = clusters["cluster_statuses"].as_array().cloned().unwrap_or_default();
        let found = clusters.into_iter().find(|status| status["name"] == cluster)?;
        Some(found["host_statuses"].as_array().map_or(0, Vec::len))
    }

    /// Waits until a cluster has so many endpoints, or is gone.
    pub async fn wait_for_endpoints(&self, cluster: &str, endpoints: Option<usize>) {
        let what = format!("{cluster} with {endpoints:?} endpoints in /clusters");
        wait::until(&what, async || (self.endpoints(cluster).await == endpoints).then_some(())).await;
    }

    /// How many connections of the listener each worker thread has taken so far.
    pub async fn connections_by_worker(&self) -> Vec<u64> {
        let stats = self.admin("/stats?filter=^listener\\.127.*worker_[0-9]\\.downstream_cx_total$").await;
        let count = |line: &str| line.rsplit(' ').next()?.parse().ok();
        stats.lines().filter_map(count).collect()
    }

    /// Asserts by the log that no VM has crashed.
    ///
    /// # Panics
    /// If one has.
    pub fn assert_no_crash(&self) {
        const SIGNS: [&str; 4] = ["panicked", "VM failed", "wasm critical", "Proxy-Wasm plugin in-VM crash"];
        let log = self.log();
        let crash = log.lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign)));
        assert_eq!(crash, None, "a filter has crashed");
    }

    /// The resident memory of the process.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn resident_kib(&self) -> u64 {
        let id = self.process.lock().expect("no panic while asking").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the state of a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the resident memory");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number of KiB")
    }

    /// The time that its worker threads have spent on a processor.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn worker_time(&self) -> Duration {
        self.time_of_threads(|name| name.starts_with("wrk:worker"))
    }

    /// The time that all of its threads have spent on a processor.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn processor_time(&self) -> Duration {
        self.time_of_threads(|_| true)
    }

    fn time_of_threads(&self, counts: impl Fn(&str) -> bool) -> Duration {
        let id = self.process.lock().expect("no panic while asking").id();
        let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the threads of a process");
        let times = threads.map(|thread| thread.expect("a thread").path()).filter_map(|thread| {
            let name = fs::read_to_string(thread.join("comm")).ok()?;
            let schedule = fs::read_to_string(thread.join("schedstat")).ok().filter(|_| counts(&name))?;
            let nanoseconds = schedule.split(' ').next().and_then(|time| time.parse().ok());
            Some(Duration::from_nanos(nanoseconds.expect("nanoseconds on a processor")))
        });
        times.sum()
    }

    /// What Envoy has logged.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Prints the end of the log if the thread panics while the result lives. For an Envoy that outlives the test.
    #[must_use]
    pub fn show_log_on_panic(&self) -> impl Drop + '_ {
        ShowLog(self)
    }

    async fn try_admin(&self, path: &str) -> Result<String, String> {
        let mut connection = Connection::open(self.admin, Protocol::Http1).await?;
        let answer = connection.send(&Request::new("admin", path)).await;
        answer.map(|answer| answer.body).map_err(|error| format!("{error:?}"))
    }

    fn assert_running(&self) {
        let status = self.process.lock().expect("no panic while asking").try_wait().expect("the state of a child");
        assert!(status.is_none(), "Envoy has ended ({status:?}); its log:\n{}", self.log());
    }

    fn print_log(&self) {
        child::show_end("Envoy", &self.log(), LOG_LINES_SHOWN);
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_log();
        }
        if let Ok(process) = self.process.get_mut() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

struct ShowLog<'a>(&'a Envoy);

impl Drop for ShowLog<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.print_log();
        }
    }
}
