//! The examples of the help are commands that the tool takes; those that need nothing else are run.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::process::Command;

use canaryctl::Cli;
use clap::{CommandFactory as _, Parser as _};

/// The examples of a command and those below it.
fn examples(command: &clap::Command) -> Vec<String> {
    let own = command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
    let lines = own.iter().flat_map(|text| text.lines().skip(1)).map(|line| line.trim().to_owned());
    lines.chain(command.get_subcommands().flat_map(examples)).collect()
}

/// The words of a command line, quoted ones whole; a redirection ends it.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" > ").next().unwrap();
    let parts = line.split('\'').enumerate().flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    parts.collect()
}

#[test]
fn every_example_of_the_help_works() {
    let examples = examples(&Cli::command());
    assert!(examples.len() >= 12, "{examples:?}");
    for line in examples {
        let words = words(&line);
        assert!(Cli::try_parse_from(&words).is_ok(), "{line}: {:?}", Cli::try_parse_from(&words).err());
        let needs_nothing_else = ["validate", "explain", "schema"].contains(&words[1].as_str());
        if needs_nothing_else {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let status = Command::new(env!("CARGO_BIN_EXE_canaryctl")).args(&words[1..]).current_dir(root).output();
            assert!(status.unwrap().status.success(), "{line}");
        }
    }
}
