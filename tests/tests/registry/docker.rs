//! The image that Docker builds.

use std::process::Command;

use e2e::{pages::document::Step, registry::Registry};

use crate::{
    tool::{self, Tool, image},
    walk,
};

/// Whether there is a Docker daemon.
pub(crate) fn answers() -> bool {
    succeeds(&["version"])
}

/// As the page has them, with a registry that Docker takes without HTTPS since it is on this machine.
pub(crate) fn the_commands_make_an_image_that_istio_takes() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let steps = walk::steps(true);
    assert_eq!(steps.len(), 2, "the page says how to build and push with Docker: {steps:?}");
    for step in &steps {
        walk::carry_out(&for_this_docker(step), step, registry.address());
    }
    let pulled = tool.pull(&image(registry.address(), ":0.2.0"));
    assert!(pulled.succeeded, "{pulled:?}");
    assert!(tool.pulled().is_some_and(|pulled| pulled == tool::module()), "another module");
    let name = format!("{}/canary-filter:0.2.0", registry.address());
    assert!(succeeds(&["image", "rm", &name]), "{name} cannot be removed");
}

/// Docker without buildx makes no attestations, and does not know the flags that leave them out.
fn for_this_docker(step: &Step) -> String {
    if succeeds(&["buildx", "version"]) {
        return step.command.clone();
    }
    format!("export DOCKER_BUILDKIT=0; {}", step.command.replace(" --provenance=false --sbom=false", ""))
}

fn succeeds(arguments: &[&str]) -> bool {
    Command::new("docker").args(arguments).output().is_ok_and(|output| output.status.success())
}
