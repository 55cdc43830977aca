//! A headless Chromium, driven by the DevTools protocol over a pair of pipes: no port to find, and Chromium ends with them.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::PATIENCE;

/// The time between two polls of a page.
const PAUSE: Duration = Duration::from_millis(50);

/// The Chromium that `$CHROMIUM` names; `None` where it is not set.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// One page. Chromium is killed when this is dropped.
#[derive(Debug)]
pub struct Page {
    chromium: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// The requests of the page, and its errors.
    requests: Vec<String>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Page {
    /// Opens a URL in a window of this size.
    ///
    /// # Panics
    /// If Chromium does not start.
    #[must_use]
    pub fn open(chromium: &Path, url: &str, width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // Chromium reads commands from descriptor 3 and writes to 4, one JSON text after the other, each ended by a zero byte.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#])
            .arg(chromium)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start Chromium");
        let commands = process.stdin.take().expect("its commands");
        let messages = read(process.stdout.take().expect("its messages"));
        let (requests, complaints) = (Vec::new(), Vec::new());
        let mut page = Self {
            chromium: process,
            commands,
            messages,
            session: None,
            last: 0,
            requests,
            complaints,
            _profile: profile,
        };
        let target = page.command("Target.createTarget", json!({"url": "about:blank"}));
        let attached = page.command("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Network", "Runtime", "Log", "Page"] {
            page.command(&format!("{domain}.enable"), json!({}));
        }
        page.resize(width, height);
        page.command("Page.navigate", json!({"url": url}));
        let is_there = "location.href !== 'about:blank' && document.readyState === 'complete'";
        page.until("the page", is_there, |value| value == true);
        page
    }

    /// Changes the size of the window and the resolution of pictures.
    pub fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// The value of an expression in the page; promises are waited for.
    ///
    /// # Panics
    /// If it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.command("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Evaluates it until the value is as wanted.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn until(&mut self, what: &str, expression: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let value = self.evaluate(expression);
            if wanted(&value) {
                return value;
            }
            assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} without success: {what}; last: {value}");
            thread::sleep(PAUSE);
        }
    }

    /// A picture of the window, as PNG.
    ///
    /// # Panics
    /// If Chromium gives none.
    pub fn picture(&mut self) -> Vec<u8> {
        let picture = self.command("Page.captureScreenshot", json!({"format": "png"}));
        STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("Base64")
    }

    /// Every URL that the page has asked for so far.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// Exceptions, errors of its console, and what its policy forbade.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut text = command.to_string().into_bytes();
        text.push(0);
        self.commands.write_all(&text).unwrap_or_else(|error| panic!("{method}: Chromium has gone: {error}"));
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|error| panic!("{method}: Chromium does not answer: {error}"));
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.extend(parameters["request"]["url"].as_str().map(str::to_owned));
            }
            "Runtime.exceptionThrown" => self.complaints.push(parameters.to_string()),
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.chromium.kill();
        let _ = self.chromium.wait();
    }
}

fn read(messages: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for message in BufReader::new(messages).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("a message in JSON");
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    receiver
}
