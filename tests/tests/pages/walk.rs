//! The commands of a page, in order, as a reader of it types them.

use std::{fs, time::Duration};

use e2e::{
    binaries::{self, canaryctl, workspace},
    pages::{
        Page, README,
        document::{self, Block, Step},
        process::Process,
        walk::assert_matches,
    },
    wait::PATIENCE,
};
use tempfile::TempDir;

use super::{BOARD, LISTENER};

/// What the pages call canaryctl.
const CANARYCTL: &str = "target/debug/canaryctl";
/// The curl and the kubectl of machines that have none.
const CURL: &str = "tests/src/pages/bin/curl";
const KUBECTL: &str = "tests/src/pages/bin/kubectl";
/// The files that readers write, or have written.
const FILES: [&str; 3] = ["canary.yaml", "mine.yaml", REQUESTS];
/// The one that no running command follows.
const REQUESTS: &str = "requests.yaml";
const IN_FORCE: &str = "configuration 1 in force";
/// How long `make run` may say nothing while it builds the filter and fetches Envoy.
const LONGEST_BUILD: Duration = Duration::from_secs(180);
/// The configuration that `make run` takes by default.
const EXAMPLE: &str = "envoy-configs/examples/bookinfo/03-jason/config.yaml";
/// Ports that are free.
const PORTS: &str = "--port 0 --admin-port 0 --board-port 0";

/// A reader of a page.
struct Reader {
    folder: TempDir,
    running: Option<Running>,
    started: usize,
}

/// Runs the commands of a page. Returns the number of `make run` commands.
pub(crate) fn carry_out(page: &Page) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut reader = Reader { folder, running: None, started: 0 };
    for block in page.blocks() {
        match block.language.as_str() {
            "yaml" => reader.save(&block),
            "console" => document::steps(&block).iter().for_each(|step| reader.carry_out(page, step)),
            "text" if reader.running.is_some() => reader.running_mut(page).has_shown(&block),
            _ => {}
        }
    }
    reader.stop();
    reader.started
}

impl Reader {
    /// Saves a block whose first line is the name of one of the files. What runs by it follows the edit.
    fn save(&mut self, block: &Block) {
        let name = block.text.lines().next().and_then(|line| line.strip_prefix("# "));
        let Some(name) = name.filter(|name| FILES.contains(name)) else { return };
        fs::write(self.folder.path().join(name), &block.text).expect("write a file");
        if let Some(running) = self.running.as_mut().filter(|_| name != REQUESTS) {
            running.follows_an_edit();
        }
    }

    fn carry_out(&mut self, page: &Page, step: &Step) {
        let mut command = step.command.clone();
        for file in FILES {
            let path = self.folder.path().join(file);
            command = command.replace(file, path.to_str().expect("a path in UTF-8"));
        }
        if command == "make test" {
            assert_eq!(step.expected, [""; 0], "what `make test` writes is not compared");
        } else if command.starts_with("make run") {
            self.stop();
            self.started += 1;
            self.running = Some(Running::start(&command, page.file == README, step));
        } else if command.starts_with("curl ") {
            let is_known = [LISTENER, BOARD].iter().any(|address| command.contains(address));
            assert!(is_known, "{}: {command}: asks another server", page.file);
            let running = self.running_mut(page);
            let command = command.replace(LISTENER, &running.address).replace(BOARD, &running.board);
            check_output(&command, &step.expected);
            check_output(&command.replacen("curl", CURL, 1), &step.expected);
        } else {
            let canaryctl = format!("'{}'", canaryctl().display());
            let command = command.replacen(CANARYCTL, &canaryctl, 1);
            let kubectl = format!("'{}' ", workspace().join(KUBECTL).display());
            check_output(&command.replacen("kubectl ", &kubectl, 1), &step.expected);
        }
    }

    fn running_mut(&mut self, page: &Page) -> &mut Running {
        self.running.as_mut().unwrap_or_else(|| panic!("{}: nothing runs yet", page.file))
    }

    /// Ends the running command, as Ctrl-C does.
    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let ended = running.make.terminate();
            assert!(!ended.is_empty(), "it has started an Envoy");
        }
    }
}

/// What `make run` starts for a configuration.
fn run(config: &str) -> String {
    let envoy = binaries::envoys().expect("Envoys").into_iter().last().expect("an Envoy");
    let (canaryctl, envoy) = (canaryctl().display().to_string(), envoy.path.display().to_string());
    format!("'{canaryctl}' run --config {config} --envoy '{envoy}' --wasm dist/canary_filter.wasm")
}

/// A canaryctl that is killed leaves no Envoy behind.
pub(crate) fn a_killed_run_leaves_nothing() {
    let mut run = Process::start(&format!("exec {} {PORTS}", run(EXAMPLE)));
    run.wait_for(IN_FORCE, PATIENCE, |line| line.starts_with(IN_FORCE));
    let ended = run.kill();
    assert!(!ended.is_empty(), "it had started an Envoy");
}

fn check_output(command: &str, expected: &[String]) {
    assert_matches(command, expected, &Process::start(command).wait_for_end());
}

/// The `make run` of the first terminal.
struct Running {
    make: Process,
    /// Where it listens instead of [`LISTENER`].
    address: String,
    /// Where its board listens instead of [`BOARD`].
    board: String,
    /// The number of the configuration in force.
    configuration: usize,
}

impl Running {
    /// Starts it by make, as the README has it, or what make starts.
    fn start(command: &str, by_make: bool, step: &Step) -> Self {
        let (command, flags) = match command.split_once(" RUN_ARGS=\"") {
            Some((command, flags)) => (command, format!("{PORTS} {}", flags.trim_end_matches('"'))),
            None => (command, PORTS.to_owned()),
        };
        let config = command.split_once("CONFIG=").map_or("", |(_, config)| config);
        // As the shell's own process, so that signals reach it.
        let mut make = Process::start(&if by_make {
            format!("exec {command} RUN_ARGS=\"{flags}\"")
        } else {
            format!("exec {} {flags}", run(if config.is_empty() { EXAMPLE } else { config }))
        });
        let last = step.expected.last().expect("the page shows what `make run` says");
        assert!(last.starts_with(IN_FORCE), "the page shows {last:?} as the last line of `make run`");
        let output = make.wait_for(IN_FORCE, LONGEST_BUILD, |line| line.starts_with(IN_FORCE));
        assert_matches(&step.command, &step.expected, output);
        let address_of = |what: &str| {
            let named = output.iter().find_map(|line| line.trim_start().strip_prefix(what)?.split_once("http://"));
            named.unwrap_or_else(|| panic!("make run names its {what}")).1.to_owned()
        };
        let (address, board) = (address_of("listener"), address_of("board"));
        Self { make, address, board, configuration: 1 }
    }

    fn follows_an_edit(&mut self) {
        self.configuration += 1;
        let next = format!("configuration {} in force", self.configuration);
        self.make.wait_for(&next, PATIENCE, |line| line.starts_with(&next));
    }

    /// That the decisions of a block are shown: all but their first and last words, the time and the duration.
    fn has_shown(&mut self, block: &Block) {
        for line in block.text.lines() {
            let decision = without_times(line);
            assert!(!decision.is_empty(), "line {}: {line:?} is no decision", block.line);
            self.make.wait_for(&format!("the decision {line:?}"), PATIENCE, |shown| without_times(shown) == decision);
        }
    }
}

fn without_times(line: &str) -> Vec<&str> {
    let words: Vec<_> = line.split_whitespace().collect();
    words.get(1..words.len().saturating_sub(1)).unwrap_or_default().to_vec()
}
