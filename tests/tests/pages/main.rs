//! The documentation: its commands are run, its configurations are checked, and its links are followed.

mod by_hand;
mod changes;
mod observation;
mod versions;
mod walk;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
};

use e2e::{
    binaries::{canaryctl, workspace},
    example::read_yaml,
    pages::{Page, README, document},
};
use serde_json::Value;

/// Where `make run` listens by default.
const LISTENER: &str = "127.0.0.1:10000";
/// Where its board listens.
const BOARD: &str = "127.0.0.1:9902";
/// What blocks are of: other languages would be blocks that no test knows.
const LANGUAGES: [&str; 7] = ["console", "diff", "mermaid", "python", "sh", "text", "yaml"];
/// The most lines of the README.
const README_LINES: usize = 220;

/// `make run` may build canaryctl anew: nothing else here uses it meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static CANARYCTL: Mutex<()> = Mutex::new(());
    CANARYCTL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn run_canaryctl(arguments: &[&str]) -> Output {
    Command::new(canaryctl()).args(arguments).current_dir(workspace()).output().expect("run canaryctl")
}

#[test]
fn every_command_has_the_output_that_is_shown() {
    let _alone = alone();
    let mut started = 0;
    for page in Page::all().iter().filter(|page| !page.is_elsewhere()) {
        started += walk::carry_out(page);
    }
    assert!(started > 1, "pages say `make run`");
}

#[test]
fn a_killed_run_leaves_nothing() {
    let _alone = alone();
    walk::a_killed_run_leaves_nothing();
}

#[test]
fn the_readme_says_how_to_run_and_test() {
    let readme = Page::read(README);
    let steps = readme.steps();
    for command in ["make run", "make test"] {
        assert!(steps.iter().any(|step| step.command == command), "the README does not say `{command}`");
    }
    assert!(read(".ci/run").lines().any(|line| line == "step make test"), ".ci/run does not run `make test`");
    let lines = readme.text.lines().count();
    assert!(lines <= README_LINES, "the README has {lines} lines, {README_LINES} is the most");
}

#[test]
fn run_listens_where_the_pages_ask() {
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
    for page in Page::all() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.file, block.line);
            assert!(LANGUAGES.contains(&&*block.language), "{place}: no test knows blocks of {:?}", block.language);
            if block.language != "yaml" {
                continue;
            }
            fs::write(&file, &block.text).expect("a file");
            let value: Value = read_yaml(&file);
            if value.get("virtualServices").is_some() {
                kinds[0] += 1;
                let output = run_canaryctl(&["validate", "--strict", file.to_str().expect("a path in UTF-8")]);
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                assert!(output.status.success(), "{place}: {said}");
                assert!(said.lines().count() == 1 && said.contains(": valid: 1 VirtualService"), "{place}: {said}");
            } else if value.get("routes").is_some() {
                kinds[1] += 1;
                by_hand::routes_steer(&value);
            } else if value.get("clusters").is_some() {
                kinds[2] += 1;
                by_hand::a_version_fails_over(&value);
            } else if ["policies", "overrides", "candidate"].iter().any(|section| value.get(section).is_some()) {
                let output = run_canaryctl(&["validate", file.to_str().expect("a path in UTF-8")]);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{place}: {said}");
            } else if value.pointer("/0/authority").is_some() {
                // Requests, which a command of the same page reads.
            } else if value.get("stats_config").is_some() {
                kinds[3] += 1;
                assert_eq!(value["stats_config"], bootstrap["stats_config"], "{place}: that of bootstrap.yaml");
            } else if value.get("metadata").is_some() {
                kinds[4] += 1;
                observation::an_annotation_names_the_labels(&value);
            } else if value.get("tracing").is_some() {
                kinds[5] += 1;
                observation::tags_are_those_of_the_bootstrap(&value["tracing"], &manager["tracing"]);
            } else {
                panic!("{place}: no test knows this block:\n{}", block.text);
            }
        }
    }
    assert!(
        kinds.iter().all(|count| *count > 0),
        "the pages show a configuration, the routes, failover clusters, labels, an annotation and tags: {kinds:?}"
    );
}

#[test]
fn what_is_pointed_at_exists() {
    let mut files: Vec<PathBuf> = Page::all().iter().map(|page| workspace().join(&page.file)).collect();
    files.extend(["CONTRIBUTING.md", "charts/canary-filter/README.md"].map(|file| workspace().join(file)));
    let before = files.len();
    add_readmes(&workspace().join("envoy-configs"), &mut files);
    assert!(files.len() > before, "a README.md in envoy-configs");
    let mut links = 0;
    for file in files {
        let prose = document::prose(&fs::read_to_string(&file).expect("a text"));
        let folder = file.parent().expect("a folder");
        for link in document::links(&prose).into_iter().filter(|link| !link.contains("://")) {
            links += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { folder.join(path) };
            assert!(target.exists(), "{}: {link} is not there", file.display());
            if !anchor.is_empty() {
                let anchors = document::anchors(&fs::read_to_string(&target).expect("a text"));
                assert!(anchors.iter().any(|known| known == anchor), "{}: {link}: no such heading", file.display());
            }
        }
        for word in document::words_of_code(&prose) {
            assert!(!is_of_project(word) || workspace().join(word).exists(), "{}: {word} is not there", file.display());
        }
    }
    assert!(links > 0, "no link found");
}

/// Words that are difficult for non-native speakers, or for which the field has another word.
#[test]
fn the_words_are_plain() {
    const WORDS: [&str; 8] = ["told", "wish", "wishes", "settle", "settles", "ladder", "stand in", "stands in"];
    for page in Page::all() {
        for line in document::prose(&page.text).lines() {
            let text: String = line.split('`').step_by(2).collect();
            let words: Vec<_> =
                text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            let text = format!(" {} ", words.join(" ").to_lowercase());
            let found = WORDS.iter().find(|word| text.contains(&format!(" {word} ")));
            assert_eq!(found, None, "{}: {line}", page.file);
        }
    }
}

/// From the README and the index one comes to every page, and from the index of examples to every example.
#[test]
fn every_page_is_linked() {
    let linked = |file: &str| -> Vec<PathBuf> {
        let page = workspace().join(file);
        let folder = page.parent().expect("a folder").to_owned();
        let prose = document::prose(&read(file));
        let links = document::links(&prose).into_iter().filter(|link| !link.contains("://"));
        let paths = links.map(|link| folder.join(link.split('#').next().unwrap_or_default()));
        paths.filter_map(|path| path.canonicalize().ok()).collect()
    };
    let index = "docs/README.md";
    let from_index = [linked(README), linked(index)].concat();
    for page in Page::all().iter().filter(|page| ![README, index].contains(&&*page.file)) {
        let path = workspace().join(&page.file).canonicalize().expect("a page");
        assert!(from_index.contains(&path), "{} is linked from neither {README} nor {index}", page.file);
    }
    let from_examples = linked("envoy-configs/examples/README.md");
    for group in e2e::example::groups() {
        for step in fs::read_dir(e2e::example::path(&group)).expect("a group") {
            let config = step.expect("a step").path().join("config.yaml");
            let is_linked = || from_examples.contains(&config.canonicalize().expect("a configuration"));
            assert!(!config.exists() || is_linked(), "{} is not in the index of examples", config.display());
        }
    }
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
