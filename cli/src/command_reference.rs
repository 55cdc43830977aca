//! The commands and flags of `docs/reference/cli.md`, from the command line's own declarations.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::Cli;

/// A table of all commands, and a section for each, in Markdown.
#[must_use]
pub fn sections() -> String {
    let mut root = Cli::command();
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    let mut text = String::from("\n| command | does |\n|---|---|\n");
    for command in &commands {
        let name = command.get_bin_name().unwrap_or_default();
        let _ = writeln!(text, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), about(command));
    }
    commands.into_iter().for_each(|command| write_section(&mut text, command));
    text
}

/// The commands that do something, hidden ones left out.
fn collect<'c>(command: &'c Command, found: &mut Vec<&'c Command>) {
    let below = || command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    if below().next().is_none() {
        found.push(command);
    }
    below().for_each(|below| collect(below, found));
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| about.to_string()).unwrap_or_default()
}

fn write_section(text: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or_default();
    let long = command.get_long_about().map_or_else(|| about(command), |about| about.to_string());
    let _ = write!(text, "\n### {name}\n\n{}\n\n", long.trim());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(text, "Usage: `{usage}`\n\n");
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|one| !one.is_hide_set() && !["help", "version"].contains(&one.get_id().as_str()))
        .collect();
    if let Some(examples) = command.get_after_long_help() {
        for example in examples.to_string().lines().skip(1) {
            let _ = write!(text, "Example: `{}`\n\n", example.trim());
        }
    }
    if arguments.is_empty() {
        return;
    }
    text.push_str("| argument | default | meaning |\n|---|---|---|\n");
    for argument in arguments {
        let _ = writeln!(text, "| `{}` | {} | {} |", spelling(argument), default(argument), cell(&meaning(argument)));
    }
}

/// How an argument is written, such as `-H, --header <NAME: VALUE>`.
fn spelling(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flag = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let values = if takes_value {
        names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ")
    } else {
        String::new()
    };
    [flag, values].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn default(argument: &Arg) -> String {
    let values: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match values.join(", ") {
        none if none.is_empty() && argument.is_required_set() => "required".to_owned(),
        none if none.is_empty() || !argument.get_action().takes_values() => String::new(),
        values => format!("`{values}`"),
    }
}

fn meaning(argument: &Arg) -> String {
    let help =
        argument.get_long_help().or_else(|| argument.get_help()).map(|help| help.to_string()).unwrap_or_default();
    let values = if argument.get_action().takes_values() { argument.get_possible_values() } else { Vec::new() };
    let values: Vec<_> =
        values.iter().filter(|value| !value.is_hide_set()).map(|value| format!("`{}`", value.get_name())).collect();
    let possible = if values.is_empty() { String::new() } else { format!(". One of {}", values.join(", ")) };
    format!("{help}{possible}")
}

/// A text within a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}
