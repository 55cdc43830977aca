//! The page about releases, carried out with the files that `make release` has built.

use e2e::pages::{Page, RELEASES, process::Process, walk::assert_matches};

/// What builds the files.
const BUILD: &str = "make release";

#[test]
fn the_page_is_carried_out() {
    let steps = Page::read(RELEASES).steps();
    let (build, others): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.command == BUILD);
    assert_eq!(build.len(), 1, "the page says `{BUILD}` once");
    for step in others {
        assert_matches(&step.command, &step.expected, &Process::start(&step.command).wait_for_end());
    }
}
