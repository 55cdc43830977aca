//! What the pages say to change: `diff` blocks, of the filter's document or of what is shipped for Envoy and Istio.

use std::fs;

use e2e::{
    binaries::workspace,
    pages::{Page, document::Block},
};

use super::run_canaryctl;

/// Where the lines of changes are that are not of the filter's document.
const SHIPPED: [&str; 2] = ["envoy-configs/bootstrap.yaml", "envoy-configs/istio/proxy-config.yaml"];

/// The document before a change is rejected, by the message that the next block shows if it is text; after it, it is good. Of
/// other changes, one shipped file has every line that is there after it and none that goes.
#[test]
fn every_change_is_needed_and_enough() {
    let _alone = super::alone();
    let mut kinds = [0; 2];
    for page in Page::all() {
        let blocks = page.blocks();
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "diff") {
            let place = format!("{}:{}", page.file, block.line);
            if side(block, '+').contains("virtualServices:") {
                kinds[0] += 1;
                let (good, said) = validate(&side(block, '+'));
                assert!(good && said.lines().count() == 1, "{place}: after it: {said}");
                let (good, said) = validate(&side(block, '-'));
                assert!(!good, "{place}: before it: {said}");
                if let Some(message) = blocks.get(index + 1).filter(|next| next.language == "text") {
                    assert!(said.contains(message.text.trim_end()), "{place}: before it: {said}");
                }
            } else {
                kinds[1] += 1;
                assert!(SHIPPED.iter().any(|file| is_changed(file, block)), "{place}: no shipped file has this change");
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "changes of documents, and of what is shipped: {kinds:?}");
}

/// The lines before (`-`) or after (`+`) a change.
fn side(block: &Block, sign: char) -> String {
    let lines = block.text.lines().filter_map(|line| line.strip_prefix([' ', sign]));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whether it is good, and what `canaryctl validate` says of it.
fn validate(document: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    fs::write(&file, document).expect("a file");
    let output = run_canaryctl(&["validate", "--strict", file.to_str().expect("a path in UTF-8")]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn is_changed(file: &str, block: &Block) -> bool {
    let shipped = fs::read_to_string(workspace().join(file)).expect("a shipped file");
    let has = |line: &str| shipped.lines().any(|other| other.trim() == line.trim());
    block
        .text
        .lines()
        .all(|line| line.strip_prefix('-').map_or_else(|| has(line.get(1..).unwrap_or_default()), |gone| !has(gone)))
}
