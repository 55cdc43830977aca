//! `canaryctl push` and `pull` against a real registry, one of its own for each trial, and the page about the image.
//!
//! Needs docker-registry: `make test-registry`. The trials in which Docker builds and pushes are left out where it does not answer.

mod credentials;
mod docker;
mod https;
mod interruptions;
mod pull;
mod push;
mod relay;
mod tool;
mod walk;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

macro_rules! trials {
    ($($claim:path),+ $(,)?) => {
        vec![$(trial(stringify!($claim), $claim)),+]
    };
}

fn trials() -> Vec<Trial> {
    let mut trials = trials!(
        push::both_layouts_come_back_as_they_were,
        push::an_image_says_what_it_is,
        push::the_same_image_is_not_pushed_again,
        push::a_tag_that_moves_is_warned_of,
        push::the_same_module_is_the_same_image_anywhere,
        push::what_cannot_be_pushed_is_refused,
        credentials::are_those_of_docker,
        credentials::come_from_a_helper,
        credentials::from_a_helper_that_fails_tell_no_secret,
        credentials::are_warned_of_where_they_go_in_clear,
        credentials::buy_a_token,
        credentials::wait_for_who_sells_tokens,
        credentials::are_warned_of_where_a_token_is_bought_in_clear,
        credentials::buy_another_token,
        interruptions::an_upload_that_is_cut_is_tried_again,
        interruptions::an_upload_that_stays_cut_leaves_the_tag,
        interruptions::a_download_that_is_cut_is_tried_again,
        interruptions::a_download_that_stays_cut_leaves_the_file,
        interruptions::a_registry_that_never_answers_is_told,
        interruptions::what_stands_still_is_tried_again,
        interruptions::what_is_slow_is_waited_for,
        interruptions::the_filter_goes_up_slowly,
        pull::a_digest_names_one_image,
        pull::what_was_tampered_with_is_refused,
        pull::what_istio_would_refuse_is_refused,
        https::is_spoken_to_those_who_are_trusted,
        https::and_http_are_told_apart,
    );
    trials.push(trial(
        "walk::every_command_has_the_output_that_is_shown",
        walk::every_command_has_the_output_that_is_shown,
    ));
    trials.push(
        trial(
            "docker::the_commands_make_an_image_that_istio_takes",
            docker::the_commands_make_an_image_that_istio_takes,
        )
        .with_ignored_flag(!docker::answers()),
    );
    trials
}

fn trial(claim: &str, test: fn()) -> Trial {
    Trial::test(claim, move || {
        test();
        Ok::<(), Failed>(())
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !docker::answers() {
        eprintln!("SKIPPED: what Docker builds and pushes: no Docker answers here");
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}
