//! Notes the commit and its date, for `canaryctl --version`.

use std::process::Command;

fn main() {
    let version = env!("CARGO_PKG_VERSION");
    // Each commit writes into this file. Without git, as in an archive, there is only the version.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| std::path::Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
    // As many digits in every clone: by itself git takes more in a larger one.
    let text = match git(&["log", "-1", "--abbrev=12", "--format=%h %cs"]) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=CANARYCTL_VERSION={text}");
}

/// What git prints, in one line.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
