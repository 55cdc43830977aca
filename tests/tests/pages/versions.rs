//! One version, wherever it is named.

use std::{fs, path::Path};

use e2e::{binaries::workspace, example::read_yaml};

use super::read;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// An image in examples, up to its tag.
const IMAGE: &str = "/canary-filter:";
/// What names it.
const FOLDERS: [&str; 4] = ["docs", "envoy-configs", "charts", "cli/src"];

#[test]
fn the_chart_has_the_version() {
    let chart = read_yaml(&workspace().join("charts/canary-filter/Chart.yaml"));
    assert_eq!((&chart["version"], &chart["appVersion"]), (&VERSION.into(), &VERSION.into()));
}

#[test]
fn the_changelog_has_the_version() {
    let changelog = read("CHANGELOG.md");
    let mut sections = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(sections.next(), Some("Unreleased"));
    let (version, date) =
        sections.next().and_then(|section| section.split_once(" - ")).expect("a version and its date");
    assert_eq!((version, date.len()), (VERSION, "2026-12-01".len()), "{date}");
}

#[test]
fn images_have_the_version() {
    let mut found = 0;
    for folder in FOLDERS {
        visit(&workspace().join(folder), &mut |file, text| {
            let tags = text.split(IMAGE).skip(1).filter_map(|rest| {
                let tag = rest.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
                // The last full stop may be that of a sentence.
                let tag = tag.trim_end_matches('.');
                tag.contains('.').then_some(tag)
            });
            for tag in tags {
                assert_eq!(tag, VERSION, "{}", file.display());
                found += 1;
            }
        });
    }
    assert!(found > 0, "no image found");
}

fn visit(path: &Path, each: &mut dyn FnMut(&Path, &str)) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            visit(&entry.expect("an entry").path(), each);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        each(path, &text);
    }
}
