//! Requests and responses of a stock Envoy with the filter, as clients and upstreams see them, for each Envoy version.
//!
//! Names are `<Envoy version>::<module>::<claim>`. Each module is one subject, with its claims as tables where there
//! are several.

mod actions;
mod bootstrap;
mod control_headers;
mod course;
mod deliver;
mod documents;
mod drills;
mod examples;
mod fallback;
mod faults;
mod grpc;
mod jwt;
mod metrics;
mod mirrors;
mod push;
mod steering;
mod users;
mod version_mode;
mod websocket;
mod weights;

use std::{process::ExitCode, sync::Arc, time::Duration};

use e2e::{
    binaries::{self, EnvoyBinary},
    canary::{Canary, Delivery, UPSTREAMS},
    example,
    failover::Failover,
    scale,
};
use libtest_mimic::{Arguments, Trial};
use tokio::{
    runtime::{Handle, Runtime},
    sync::OnceCell,
    time::timeout,
};

/// One Envoy version, and a proxy of it for all trials that leave the configuration alone.
struct Subject {
    binary: EnvoyBinary,
    shared: OnceCell<Canary>,
    /// Whether it is the last version. Unless `LONG` is set, long claims run at full length, and the longest at all, only on this one.
    is_last: bool,
}

impl Subject {
    /// The length of a long test on this version.
    fn share_of(&self, full: u64) -> u64 {
        if self.is_last { full } else { scale::pick(full / 10, full) }
    }

    /// The kind of failover clusters that `canaryctl run` uses for it.
    fn failover(&self) -> Failover {
        Failover::newest(&self.binary.version)
    }

    /// Every kind that it supports.
    fn all_failover(&self) -> &'static [Failover] {
        Failover::of_version(&self.binary.version)
    }

    async fn shared(&self) -> &Canary {
        self.shared
            .get_or_init(async || Canary::start(&self.binary, Delivery::Ecds, &documents::shared(), &UPSTREAMS).await)
            .await
    }
}

macro_rules! trials {
    ($runtime:expr, $subject:expr, $($claim:path),+ $(,)?) => {
        [$(trial($runtime, $subject, stringify!($claim), $claim)),+]
    };
}

fn trials(runtime: &Handle, subject: &Arc<Subject>) -> Vec<Trial> {
    let mut trials = Vec::from(trials!(
        runtime,
        subject,
        steering::picks_the_version_that_the_rule_names,
        steering::passes_unusual_headers_on,
        steering::answers_404_where_no_rule_of_a_known_host_matches,
        steering::leaves_unknown_hosts_to_the_native_route,
        control_headers::a_client_cannot_steer_by_them,
        weights::ninety_ten,
        weights::three_versions,
        push::by_ecds,
        push::by_lds,
        push::a_version_that_was_not_there,
        websocket::stays_open_through_a_change,
        websocket::takes_delays_and_rewrites,
        websocket::closed_by_the_server_ejects_nobody,
        bootstrap::for_readers_serves_as_it_is,
        bootstrap::for_readers_fails_over,
        actions::redirects,
        actions::direct_responses,
        actions::rewrites,
        actions::retries,
        actions::timeouts,
        actions::header_operations,
        actions::cors,
        actions::bodies_pass_whole,
        faults::delays_are_on_time,
        faults::aborts_are_told_in_the_access_log,
        faults::surplus_delays_are_skipped_and_counted,
        faults::a_new_configuration_ends_old_delays_on_time,
        faults::clients_that_go_leave_nothing_behind,
        faults::by_the_native_fault_filter,
        grpc::an_abort_is_a_status_to_a_grpc_client,
        grpc::an_abort_is_one_frame_of_headers,
        grpc::statuses_are_retried,
        mirrors::gets_its_share,
        mirrors::goes_to_each_of_three,
        mirrors::copies_are_marked_and_say_nothing_of_the_filter,
        mirrors::that_hangs_slows_nobody,
        version_mode::does_nothing_twice,
        version_mode::keeps_shares,
        jwt::claims_pick_the_version,
        course::the_chain_fails_for_luffy_and_is_slow_for_others,
        course::the_circuit_breaks,
        deliver::brings_rules_and_who_is_ready,
        metrics::are_what_the_upstreams_recorded,
        metrics::a_request_counts_for_the_version_that_serves,
        metrics::faults_and_mirrors_are_counted,
        metrics::documents_are_counted,
        metrics::series_are_bounded,
        metrics::access_logs_show_the_decision,
        bootstrap::for_readers_tags_spans,
        fallback::a_cluster_that_does_not_exist,
        fallback::a_cluster_without_endpoints,
        drills::failover::every_pair_of_versions_that_cannot_serve,
        drills::failover::health_of_endpoints,
        drills::failover::a_try_for_each_priority,
        drills::failover::members_keep_their_own_settings,
        drills::retries::combine_as_the_table_says,
        drills::causes::what_a_client_brings_about_ejects_nobody,
        drills::killed::costs_nothing_that_may_be_repeated,
        drills::absent::a_cluster_that_does_not_exist,
        drills::absent::a_cluster_without_endpoints,
        drills::absent::comes_and_goes,
        drills::absent::a_subset_before_its_cluster,
        drills::rollout::costs_nothing_in_the_wrong_order,
        drills::version_header::of_every_kind_is_served,
        drills::version_header::counts_for_its_protocol,
        drills::version_header::native_routes_lose_nothing,
        drills::broken::leaves_other_versions_alone,
        drills::broken::is_ejected,
        drills::accrual::half_of_the_answers_fail,
        drills::accrual::slow_failures_count_one_by_one,
        drills::accrual::hangs_without_a_timeout,
        drills::accrual::one_worker_ejects_for_all,
        users::cookies::are_issued_once_and_honoured_after,
        users::keys::have_the_same_version_on_every_proxy,
        users::overrides::are_for_the_trusted_only,
        users::explain::says_what_happens,
        users::ramp::moves_by_the_wall_clock,
        users::candidate::predicts_what_a_later_run_shows,
        users::frozen::sends_all_to_the_default_at_no_cost,
    ));
    if subject.is_last || scale::pick(false, true) {
        trials.extend(trials!(
            runtime,
            subject,
            drills::rollout::costs_nothing_in_the_right_order,
            drills::rollout::costs_requests_without_the_filter,
            drills::accrual::half_of_the_answers_fail_at_both_workers,
            drills::accrual::a_trial_gets_its_share_only,
            drills::memory::stays_flat_while_versions_come_and_go,
        ));
    }
    for group in example::groups() {
        let claim = format!("examples::{group}");
        let test = async move |subject: &Subject| examples::answer_as_their_tables_say(subject, &group).await;
        trials.push(trial(runtime, subject, &claim, test));
    }
    trials
}

fn trial<F>(runtime: &Handle, subject: &Arc<Subject>, claim: &str, test: F) -> Trial
where
    F: AsyncFn(&Subject) + Send + 'static,
{
    let (runtime, subject) = (runtime.clone(), Arc::clone(subject));
    let longest = scale::pick(Duration::from_secs(240), Duration::from_secs(900));
    Trial::test(format!("{}::{claim}", subject.binary.version), move || {
        runtime
            .block_on(async { timeout(longest, test(&subject)).await })
            .map_err(|_| format!("not done after {longest:?}").into())
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Ok(binaries) = binaries::envoys().inspect_err(|error| eprintln!("error: {error}")) else {
        return ExitCode::FAILURE;
    };
    let runtime = Runtime::new().expect("a tokio runtime");
    let last = binaries.len().saturating_sub(1);
    let subject = |(number, binary)| Arc::new(Subject { binary, shared: OnceCell::new(), is_last: number == last });
    let subjects: Vec<_> = binaries.into_iter().enumerate().map(subject).collect();
    let trials = subjects.iter().flat_map(|subject| trials(runtime.handle(), subject)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Before the process ends: dropping them ends the shared Envoys.
    drop(subjects);
    conclusion.exit_code()
}
