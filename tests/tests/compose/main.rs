//! docker-compose.yml as its users see it: brought up under a name of its own, asked from outside, and gone afterwards.
//!
//! Needs Docker and the images of `make images`: `make test-compose`. The trials share one project and run one after the other.

mod alerts;
mod dashboard;
mod edits;
mod examples;
mod hardening;
mod losses;
mod metrics;
mod project;
mod traffic;
mod walk;

use std::{process::ExitCode, sync::Arc, time::Duration};

use e2e::example;
use libtest_mimic::{Arguments, Failed, Trial};
use project::Project;
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

/// Longer than any of them takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(240);

macro_rules! trials {
    ($runtime:expr, $project:expr, $($claim:path),+ $(,)?) => {
        vec![$(trial($runtime, $project, stringify!($claim), $claim)),+]
    };
}

fn trials(runtime: &Handle, project: &Arc<Project>) -> Vec<Trial> {
    let mut trials = trials!(
        runtime,
        project,
        hardening::is_up_within_a_minute,
        hardening::containers_are_well,
        hardening::containers_may_do_little,
        hardening::images_are_small_and_hold_what_is_built,
        hardening::ports_are_for_this_machine_only,
        edits::of_every_kind_are_taken,
        edits::that_are_wrong_are_refused,
        edits::cost_no_request,
        losses::a_canary_that_stops_costs_no_request,
        losses::a_canary_that_dies_costs_no_get,
        losses::a_canary_that_dies_costs_gets_without_an_order,
        losses::what_brings_the_rules_may_go,
        losses::the_proxy_comes_back_as_it_was,
        metrics::are_what_the_containers_recorded,
        alerts::hold_in_promtool,
        alerts::each_fires,
        dashboard::every_query_has_an_answer,
    );
    for group in example::groups() {
        let test = {
            let group = group.clone();
            async move |project: &Project| examples::answer_as_their_tables_say(project, &group).await
        };
        trials.push(trial(runtime, project, &format!("examples::{group}"), test));
    }
    // It takes everything down in the end.
    trials.extend(trials!(runtime, project, walk::every_command_has_the_output_that_is_shown));
    trials
}

fn trial<F>(runtime: &Handle, project: &Arc<Project>, claim: &str, test: F) -> Trial
where
    F: AsyncFn(&Project) + Send + 'static,
{
    let (runtime, project) = (runtime.clone(), Arc::clone(project));
    Trial::test(claim, move || {
        let done = runtime.block_on(async { timeout(LONGEST, test(&project)).await });
        done.map_err(|_| Failed::from(format!("not done after {LONGEST:?}")))
    })
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        eprintln!("the trials are known once the project is up: run them");
        return ExitCode::FAILURE;
    }
    let project = Arc::new(Project::up());
    let runtime = Runtime::new().expect("a tokio runtime");
    let conclusion = libtest_mimic::run(&arguments, trials(runtime.handle(), &project));
    if conclusion.has_failed() {
        eprintln!("{}", project.recent_logs());
    }
    let left = project.down();
    if !left.is_empty() {
        eprintln!("error: left behind: {left:?}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
