//! The page about the image, carried out with another registry than the one that it names.

use std::{net::SocketAddr, time::Duration};

use e2e::{
    binaries,
    pages::{IMAGE, Page, document::Step, process::Process, walk::assert_matches},
};

use crate::{https::Secure, tool::Tool};

/// The registry of the page.
const REGISTRY: &str = "registry.example.com";
/// What the page calls canaryctl.
const CANARYCTL: &str = "target/debug/canaryctl";
/// How long `make push` may say nothing while it builds what is not up to date.
const LONGEST_BUILD: Duration = Duration::from_secs(180);

/// The commands with Docker, or the others.
pub(crate) fn steps(with_docker: bool) -> Vec<Step> {
    let steps = Page::read(IMAGE).steps();
    steps.into_iter().filter(|step| step.command.starts_with("docker ") == with_docker).collect()
}

pub(crate) fn every_command_has_the_output_that_is_shown() {
    let (secure, tool) = (Secure::start(), Tool::new());
    let steps = steps(false);
    for part in ["make push ", "canaryctl pull "] {
        assert!(steps.iter().any(|step| step.command.contains(part)), "the page does not say `{part}`");
    }
    let docker = tool.path(".docker");
    let surroundings = format!(
        "export NO_PROXY=127.0.0.1 SSL_CERT_FILE='{}' DOCKER_CONFIG='{}';",
        secure.certificate().display(),
        docker.display()
    );
    for step in steps {
        let command = step.command.replace(CANARYCTL, &format!("'{}'", binaries::canaryctl().display()));
        carry_out(&format!("{surroundings} {command}"), &step, secure.registry.address());
    }
}

/// Runs a command against this registry; its output has to be as the page shows it.
pub(crate) fn carry_out(command: &str, step: &Step, registry: SocketAddr) {
    let registry = registry.to_string();
    let mut process = Process::start(&command.replace(REGISTRY, &registry));
    if step.command.starts_with("make ") {
        process.wait_for("a digest", LONGEST_BUILD, |line| line.starts_with("sha256:"));
    }
    let output = process.wait_for_end();
    let expected: Vec<_> = step.expected.iter().map(|line| line.replace(REGISTRY, &registry)).collect();
    assert_matches(command, &expected, &output);
}
