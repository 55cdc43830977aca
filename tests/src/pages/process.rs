//! Commands as a reader types them.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::{binaries, wait::PATIENCE};
use rustix::process::{Pid, Signal, kill_process};

/// The time between two polls of the processes.
const PAUSE: Duration = Duration::from_millis(5);
/// Variables that `make` sets for the tests. A reader's shell does not have them.
const VARIABLES_OF_MAKE: [&str; 4] = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"];
/// How the names of those begin that `cargo test` sets; build scripts that look at them would run, and crates be built, anew.
const VARIABLES_OF_CARGO: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// A command in the root of the project, with everything it writes to stdout and stderr as one stream. It and what it
/// started gets SIGTERM when this is dropped, and SIGKILL if that does not help.
#[derive(Debug)]
pub struct Process {
    command: String,
    child: Child,
    lines: Receiver<String>,
    output: Vec<String>,
}

impl Process {
    /// Starts it by `sh -c`.
    pub fn start(command: &str) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        let stand_ins = binaries::workspace().join("tests/src/pages/bin");
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(env::split_paths(&path).chain([stand_ins])).expect("a PATH");
        let mut shell = Command::new("sh");
        for variable in VARIABLES_OF_MAKE {
            shell.env_remove(variable);
        }
        for (variable, _) in env::vars_os() {
            if VARIABLES_OF_CARGO.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
                shell.env_remove(variable);
            }
        }
        let child = shell
            .arg("-c")
            .arg(command)
            .current_dir(binaries::workspace())
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", binaries::target_directory())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a second end of the pipe"))
            .stderr(writer)
            .spawn()
            .expect("start sh");
        // It holds the ends of the pipe.
        drop(shell);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { command: command.to_owned(), child, lines, output: Vec::new() }
    }

    /// Waits for a line, unless it is there already. Gives everything that has been written up to the last line read.
    pub fn wait_for(&mut self, what: &str, silence: Duration, found: impl Fn(&str) -> bool) -> &[String] {
        let mut seen = self.output.iter().any(|line| found(line));
        while !seen {
            let Some(line) = self.next_line(silence) else {
                panic!("{} ended without {what}\n{}", self.command, self.output_so_far())
            };
            seen = found(line);
        }
        &self.output
    }

    /// Everything it has written when it, and all that might write, has ended.
    pub fn wait_for_end(mut self) -> Vec<String> {
        while self.next_line(PATIENCE).is_some() {}
        self.child.wait().expect("the end of sh");
        std::mem::take(&mut self.output)
    }

    /// Ends it as a supervisor does, by a SIGTERM to it alone, and checks that nothing of what it started is left. Gives the
    /// names of what it had started.
    pub fn terminate(self) -> Vec<String> {
        self.end_by(Signal::TERM)
    }

    /// The same by SIGKILL, which it cannot notice.
    pub fn kill(self) -> Vec<String> {
        self.end_by(Signal::KILL)
    }

    fn end_by(mut self, signal: Signal) -> Vec<String> {
        let started = processes_below(self.child.id());
        kill_process(self.pid(), signal).expect("send a signal");
        while self.next_line(PATIENCE).is_some() {}
        self.child.wait().expect("the end of the command");
        let begin = Instant::now();
        while let Some(left) = processes().into_iter().find(|(_, process)| started.contains(process)) {
            assert!(begin.elapsed() < PATIENCE, "{} left {left:?} behind", self.command);
            thread::sleep(PAUSE);
        }
        started.into_iter().map(|process| process.name).collect()
    }

    /// `None` at the end.
    fn next_line(&mut self, silence: Duration) -> Option<&str> {
        match self.lines.recv_timeout(silence) {
            Ok(line) => Some(self.output.push_mut(line)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} has said nothing more for {silence:?}\n{}", self.command, self.output_so_far())
            }
        }
    }

    fn output_so_far(&self) -> String {
        format!("--- its output\n{}\n---", self.output.join("\n"))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// To it and all that it started.
    fn signal_all(&self, signal: Signal) {
        let started = processes_below(self.child.id());
        let started = started.iter().filter_map(|process| Pid::from_raw(process.id));
        for pid in [self.pid()].into_iter().chain(started) {
            // An error means that it has ended already.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal_all(Signal::TERM);
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.signal_all(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A process of this machine. The number alone may be given to another one later.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    id: i32,
    name: String,
    start: String,
}

/// Those that run, by Linux's `/proc`, with their parents. One that has ended and is not yet reaped does not run.
fn processes() -> Vec<(i32, Listed)> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let listed = entries.filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // proc_pid_stat(5): number, (name), state, parent and so on; the start is the 20th behind the name.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let process = Listed { id, name: name.to_owned(), start: (*fields.get(19)?).to_owned() };
        (fields[0] != "Z").then_some((fields[1].parse().ok()?, process))
    });
    listed.collect()
}

fn processes_below(root: u32) -> Vec<Listed> {
    let all = processes();
    let mut parents = vec![i32::try_from(root).expect("a process id")];
    let mut below = Vec::new();
    while let Some(parent) = parents.pop() {
        for (_, child) in all.iter().filter(|(of, _)| *of == parent) {
            parents.push(child.id);
            below.push(child.clone());
        }
    }
    below
}
