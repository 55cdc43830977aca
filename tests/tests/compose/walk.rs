//! Runs the quickstart with Docker.

use std::fs;

use e2e::{
    binaries::workspace,
    pages::{COMPOSE, Page, walk},
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
    let steps = Page::read(COMPOSE).steps();
    assert_eq!(steps.first().map(|step| step.command.as_str()), Some(IMAGES), "the walk begins with the images");
    assert_eq!(steps.last().map(|step| step.command.as_str()), Some(DOWN), "the walk ends with nothing left");
    for step in steps.iter().skip(1) {
        let is_question = step.command.contains("curl ") || step.command.contains(" logs ");
        walk::carry_out(step, is_question, async || project.shell(&step.command)).await;
    }
    assert_eq!(project.left(), [""; 0], "containers, networks and volumes after {DOWN}");
}
