//! A `canaryctl run` as a child process, and an HTTP/1.1 client that knows whether its connection was kept.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take that has no limit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The filter's module: `$CANARY_WASM`, else what `make build` leaves.
pub(crate) fn wasm() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/canary_filter.wasm");
    let path = std::env::var_os("CANARY_WASM").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{}: no filter module: run `make build`, or set CANARY_WASM", path.display());
    path
}

/// A `canaryctl` command. Envoy is found as `canaryctl run` finds it: by $ENVOY, $PATH, or what `make envoy` fetched.
pub(crate) fn canaryctl() -> Command {
    Command::new(env!("CARGO_BIN_EXE_canaryctl"))
}

/// Lines that a process has written so far.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                writer.0.0.lock().unwrap().push(line);
                writer.0.1.notify_all();
            }
        });
        lines
    }

    fn all(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }

    /// The first line with `part` in it, once there is one.
    fn wait_for(&self, part: &str, limit: Duration) -> Option<String> {
        let found = |lines: &Vec<String>| lines.iter().find(|line| line.contains(part)).cloned();
        let lines = self.0.0.lock().unwrap();
        let (lines, _) = self.0.1.wait_timeout_while(lines, limit, |lines| found(lines).is_none()).unwrap();
        found(&lines)
    }
}

/// A running `canaryctl run` with a directory of its own. It gets SIGTERM when this is dropped.
pub(crate) struct Session {
    child: Child,
    directory: tempfile::TempDir,
    stdout: Lines,
    stderr: Lines,
}

impl Session {
    /// Starts it with a configuration, and more flags, and waits until that is in force.
    pub(crate) fn start(configuration: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("canary.yaml"), configuration).unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        let mut command = canaryctl();
        command.args(["run", "--port", "0", "--admin-port", "0", "--config"]).arg(directory.path().join("canary.yaml"));
        if !flags.contains(&"--wasm") {
            command.arg("--wasm").arg(wasm());
        }
        command.args(flags).env("TMPDIR", directory.path().join("tmp"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let session = Self { child, directory, stdout, stderr };
        session.says("configuration 1 in force");
        session
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("canary.yaml")
    }

    /// What is left in the directory for temporary files.
    pub(crate) fn left_over(&self) -> Vec<PathBuf> {
        fs::read_dir(self.directory.path().join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits for a line of standard output with `part` in it.
    pub(crate) fn says(&self, part: &str) -> String {
        self.stdout.wait_for(part, PATIENCE).unwrap_or_else(|| {
            panic!("standard output has no {part:?}:\n{}\nstandard error:\n{}", self.stdout.all(), self.stderr.all())
        })
    }

    /// All of standard output so far.
    pub(crate) fn said(&self) -> String {
        self.stdout.all()
    }

    /// Waits for a line of standard error with `part` in it.
    pub(crate) fn complains(&self, part: &str) -> String {
        self.stderr
            .wait_for(part, PATIENCE)
            .unwrap_or_else(|| panic!("standard error has no {part:?}:\n{}", self.stderr.all()))
    }

    /// The address that it named for `listener` or `admin`.
    pub(crate) fn address(&self, what: &str) -> SocketAddr {
        let line = self.says(&format!("  {what} "));
        line.split_once("http://").unwrap().1.parse().unwrap()
    }

    /// A connection to the listener.
    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address("listener"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "canaryctl does not end:\n{}", self.stderr.all());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // SIGKILL would leave Envoy behind; it is the last resort.
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection. Every method panics when it has been closed.
pub(crate) struct Connection(BufReader<TcpStream>);

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The JSON body; null where it is none.
    pub(crate) body: Value,
}

impl Answer {
    /// The values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// `reviews v2`: which echo server answered.
    pub(crate) fn who(&self) -> String {
        let text = |name: &str| self.body[name].as_str().unwrap_or("?").to_owned();
        format!("{} {}", text("service"), text("version"))
    }
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request and reads its answer.
    pub(crate) fn get(&mut self, authority: &str, path: &str, headers: &str) -> Answer {
        self.send("GET", authority, path, headers);
        self.receive()
    }

    /// Sends a request without waiting. `headers` are lines, each with its CRLF.
    pub(crate) fn send(&mut self, method: &str, authority: &str, path: &str, headers: &str) {
        write!(self.0.get_mut(), "{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{headers}\r\n").unwrap();
    }

    /// Reads the answer to a request that was sent.
    pub(crate) fn receive(&mut self) -> Answer {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection was closed");
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            let (name, value) = line.trim_end().split_once(": ").unwrap();
            match name {
                "content-length" => length = value.parse().unwrap(),
                "connection" => assert_ne!(value, "close", "Envoy wants to close the connection"),
                _ => {}
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }
}
