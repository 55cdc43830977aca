//! The README, carried out: its commands are run, its configurations checked, its links followed.

mod by_hand;
mod observation;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use e2e::{
    binaries::{canaryctl, workspace},
    example::read_yaml,
    readme::{
        self,
        document::{self, Block, Step},
        process::Process,
        walk::assert_matches,
    },
    wait::PATIENCE,
};
use serde_json::Value;

/// What the README calls canaryctl.
const CANARYCTL: &str = "target/debug/canaryctl";
/// The curl that stands in where there is none.
const STAND_IN: &str = "tests/src/readme/bin/curl";
/// Where `make run` listens unless it is told otherwise.
const LISTENER: &str = "127.0.0.1:10000";
/// Where its board listens.
const BOARD: &str = "127.0.0.1:9902";
const IN_FORCE: &str = "configuration 1 in force";
/// How long `make run` may say nothing while it builds the filter and fetches Envoy.
const LONGEST_BUILD: Duration = Duration::from_secs(180);

/// `make run` may build canaryctl anew: nothing else here uses it meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static CANARYCTL: Mutex<()> = Mutex::new(());
    CANARYCTL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn blocks(language: &str) -> Vec<Block> {
    let blocks = document::blocks(&readme::read());
    let unknown = blocks.iter().find(|block| !["console", "yaml", "text", "python"].contains(&block.language.as_str()));
    assert_eq!(unknown, None, "no test knows blocks of this language");
    blocks.into_iter().filter(|block| block.language == language).collect()
}

fn run_canaryctl(arguments: &[&str]) -> Output {
    Command::new(canaryctl()).args(arguments).current_dir(workspace()).output().expect("run canaryctl")
}

#[test]
fn every_command_has_the_output_that_is_shown() {
    let _alone = alone();
    let steps = readme::other_steps();
    let mut running: Option<Running> = None;
    let mut has_test = false;
    for step in &steps {
        match step.command.as_str() {
            "make run" => {
                assert!(running.is_none(), "`make run` twice");
                running = Some(Running::start(step));
            }
            "make test" => {
                has_test = true;
                assert_eq!(step.expected, [""; 0], "what `make test` writes is not compared");
                assert!(
                    read(".ci/run").lines().any(|line| line == "step make test"),
                    ".ci/run does not run `make test`"
                );
            }
            command if command.starts_with("curl ") => {
                let running = running.as_ref().unwrap_or_else(|| panic!("{command}: nothing runs yet"));
                assert!(
                    [LISTENER, BOARD].iter().any(|address| command.contains(address)),
                    "{command}: asks somebody else"
                );
                let command = command.replace(LISTENER, &running.address).replace(BOARD, &running.board);
                check_output(&command, &step.expected);
                check_output(&command.replacen("curl", STAND_IN, 1), &step.expected);
            }
            command => {
                let canaryctl = format!("'{}'", canaryctl().display());
                check_output(&command.replace(CANARYCTL, &canaryctl), &step.expected);
            }
        }
    }
    assert!(has_test, "the README does not say `make test`");
    let mut running = running.expect("the README says `make run`");
    for block in blocks("text") {
        running.has_shown(&block);
    }
    let ended = running.make.terminate();
    assert!(ended.len() > 1 && ended.iter().any(|name| name == "canaryctl"), "canaryctl and its Envoy: {ended:?}");
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
}

impl Running {
    fn start(step: &Step) -> Self {
        // On ports that are free, and as the shell's own process, so that signals reach make.
        let mut make = Process::start(r#"exec make run RUN_ARGS="--port 0 --admin-port 0 --board-port 0""#);
        let last = step.expected.last().expect("the README shows what `make run` says");
        assert!(last.starts_with(IN_FORCE), "the README shows {last:?} as the last line of `make run`");
        let output = make.wait_for(IN_FORCE, LONGEST_BUILD, |line| line.starts_with(IN_FORCE));
        assert_matches(&step.command, &step.expected, output);
        let address_of = |what: &str| {
            let named = output.iter().find_map(|line| line.trim_start().strip_prefix(what)?.split_once("http://"));
            named.unwrap_or_else(|| panic!("make run names its {what}")).1.to_owned()
        };
        let (address, board) = (address_of("listener"), address_of("board"));
        Self { make, address, board }
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

#[test]
fn the_listener_of_run_is_where_the_readme_asks() {
    let _alone = alone();
    let help = run_canaryctl(&["run", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    let (_, port) = LISTENER.split_once(':').expect("an address");
    let flag = help.split("--").find(|flag| flag.starts_with("port ")).expect("a flag --port");
    assert!(flag.contains("127.0.0.1") && flag.contains(&format!("[default: {port}]")), "{flag}");
    let (_, port) = BOARD.split_once(':').expect("an address");
    let flag = help.split("--").find(|flag| flag.starts_with("board-port ")).expect("a flag --board-port");
    assert!(flag.contains("127.0.0.1") && flag.contains(&format!("[default: {port},")), "{flag}");
}

#[test]
fn every_configuration_is_good() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    let bootstrap = read_yaml(&workspace().join("envoy-configs/bootstrap.yaml"));
    let manager = bootstrap.pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config");
    let manager = manager.expect("a connection manager");
    let mut kinds = [0; 6];
    for block in blocks("yaml") {
        let line = block.line;
        fs::write(&file, &block.text).expect("a file");
        let value: Value = read_yaml(&file);
        if value.get("virtualServices").is_some() {
            kinds[0] += 1;
            let output = run_canaryctl(&["validate", "--strict", file.to_str().expect("a path in UTF-8")]);
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "line {line}: {said}");
            assert!(said.lines().count() == 1 && said.contains(": valid: 1 VirtualService"), "line {line}: {said}");
        } else if value.get("routes").is_some() {
            kinds[1] += 1;
            by_hand::routes_steer(&value);
        } else if value.get("clusters").is_some() {
            kinds[2] += 1;
            by_hand::a_version_fails_over(&value);
        } else if ["policies", "overrides", "candidate"].iter().any(|section| value.get(section).is_some()) {
            let output = run_canaryctl(&["validate", file.to_str().expect("a path in UTF-8")]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "line {line}: {said}");
        } else if value.get("stats_config").is_some() {
            kinds[3] += 1;
            assert_eq!(value["stats_config"], bootstrap["stats_config"], "line {line}: that of bootstrap.yaml");
        } else if value.get("metadata").is_some() {
            kinds[4] += 1;
            observation::an_annotation_names_the_labels(&value);
        } else if value.get("tracing").is_some() {
            kinds[5] += 1;
            observation::tags_are_those_of_the_bootstrap(&value["tracing"], &manager["tracing"]);
        } else {
            panic!("line {line}: no test knows this block:\n{}", block.text);
        }
    }
    assert!(
        kinds.iter().all(|count| *count > 0),
        "the README shows a configuration, the routes, failover clusters, labels, an annotation and tags: {kinds:?}"
    );
}

#[test]
fn the_table_of_canaryctl_has_its_commands() {
    let _alone = alone();
    let readme = readme::read();
    let mut named: Vec<String> = Vec::new();
    for row in readme.lines().filter_map(|line| line.strip_prefix("| `canaryctl ")) {
        let is_subcommand = |word: &&str| word.chars().all(|char| char.is_ascii_lowercase());
        let subcommands: Vec<_> =
            row.split([' ', '`']).take_while(is_subcommand).filter(|word| !word.is_empty()).collect();
        let output = run_canaryctl(&[subcommands.as_slice(), &["--help"]].concat());
        assert!(output.status.success(), "{subcommands:?}: {}", String::from_utf8_lossy(&output.stderr));
        let usage = format!("Usage: canaryctl {}", subcommands.join(" "));
        let help = String::from_utf8_lossy(&output.stdout);
        let is_it = |line: &str| line.strip_prefix(&usage).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        assert!(help.lines().any(is_it), "{usage:?} is in the help");
        named.extend(subcommands.first().map(|name| (*name).to_owned()));
    }
    let help = run_canaryctl(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut known: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    known.retain(|name| *name != "help");
    known.sort_unstable();
    named.sort();
    // `render` has several rows, for what it prints.
    named.dedup();
    assert_eq!(named, known, "commands of the README and of canaryctl");
}

#[test]
fn what_is_pointed_at_exists() {
    let named = [
        "README.md",
        "CONTRIBUTING.md",
        "docs/make-before-break.md",
        "docs/starting-badly.md",
        "docs/where-the-time-goes.md",
    ];
    let mut files = Vec::from(named.map(|file| workspace().join(file)));
    for folder in ["envoy-configs", "docs"] {
        let before = files.len();
        add_readmes(&workspace().join(folder), &mut files);
        assert!(files.len() > before, "a README.md in {folder}");
    }
    let mut links = 0;
    for file in files {
        let prose = document::prose(&fs::read_to_string(&file).expect("a text"));
        let folder = file.parent().expect("a folder");
        for link in document::links(&prose) {
            let path = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !path.is_empty() {
                links += 1;
                assert!(folder.join(path).exists(), "{}: {link} is not there", file.display());
            }
        }
        for word in document::words_of_code(&prose) {
            assert!(!is_of_project(word) || workspace().join(word).exists(), "{}: {word} is not there", file.display());
        }
    }
    assert!(links > 0, "no link found");
}

fn add_readmes(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add_readmes(&path, files);
        } else if path.file_name().is_some_and(|name| name == "README.md") {
            files.push(path);
        }
    }
}

/// Whether a word is a path that begins with a folder of the project, other than those with what was built.
fn is_of_project(word: &str) -> bool {
    word.split_once('/').is_some_and(|(first, _)| {
        !first.is_empty() && !["target", "dist"].contains(&first) && workspace().join(first).is_dir()
    })
}
