//! The README's walk-through, carried out.

use std::{fs, time::Instant};

use e2e::{
    binaries::workspace,
    readme::{self, document::Step, pattern, process::Process},
    wait::PATIENCE,
};

use crate::project::{Project, RULES};

/// What `make test-compose` has done before these tests begin.
const IMAGES: &str = "make images";
/// The last command.
const DOWN: &str = "docker compose down --volumes";

pub(crate) async fn every_command_has_the_output_that_is_shown(project: &Project) {
    project.take(&Project::shipped_rules()).await;
    let shipped = fs::read_to_string(workspace().join(RULES).join("canary.yaml")).expect("the shipped rules");
    project.write_rules(&shipped);
    let steps = readme::steps_of(readme::NEEDS_DOCKER);
    assert_eq!(steps.first().map(|step| step.command.as_str()), Some(IMAGES), "the walk begins with the images");
    assert_eq!(steps.last().map(|step| step.command.as_str()), Some(DOWN), "the walk ends with nothing left");
    for step in steps.iter().skip(1) {
        carry_out(project, step);
    }
    assert_eq!(project.left(), [""; 0], "containers, networks and volumes after {DOWN}");
}

/// Until the output is as shown: an edit, a container that comes or goes is in force within a second, not at once.
fn carry_out(project: &Project, step: &Step) {
    let begin = Instant::now();
    let is_question = step.command.contains("curl ") || step.command.contains(" logs ");
    loop {
        let output = Process::start(&project.shell(&step.command)).wait_for_end();
        if pattern::matches(&step.expected, &output) {
            return;
        }
        assert!(
            is_question && begin.elapsed() < PATIENCE,
            "$ {}\n--- expected\n{}\n--- found\n{}\n---",
            step.command,
            step.expected.join("\n"),
            output.join("\n"),
        );
    }
}
