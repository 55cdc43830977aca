//! What clients and upstreams of a stock Envoy with the filter see, for each Envoy version.
//!
//! Names are `<Envoy version>::<module>::<claim>`. Each module is one subject, with its claims as tables where there
//! are several.

mod bootstrap;
mod control_headers;
mod documents;
mod examples;
mod fallback;
mod push;
mod steering;
mod websocket;
mod weights;

use std::{process::ExitCode, sync::Arc, time::Duration};

use e2e::{
    binaries::{self, EnvoyBinary},
    canary::{Canary, Delivery, UPSTREAMS},
};
use libtest_mimic::{Arguments, Trial};
use tokio::{
    runtime::{Handle, Runtime},
    sync::OnceCell,
    time::timeout,
};

const LONGEST_TRIAL: Duration = Duration::from_secs(120);

/// One Envoy version, and a proxy of it for all trials that leave the configuration alone.
struct Subject {
    binary: EnvoyBinary,
    shared: OnceCell<Canary>,
}

impl Subject {
    async fn shared(&self) -> &Canary {
        self.shared
            .get_or_init(async || Canary::start(&self.binary, Delivery::Ecds, &documents::bookinfo(), &UPSTREAMS).await)
            .await
    }
}

macro_rules! trials {
    ($runtime:expr, $subject:expr, $($module:ident::$claim:ident),+ $(,)?) => {
        [$(trial($runtime, $subject, concat!(stringify!($module), "::", stringify!($claim)), $module::$claim)),+]
    };
}

fn trials(runtime: &Handle, subject: &Arc<Subject>) -> impl IntoIterator<Item = Trial> {
    trials!(
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
        bootstrap::for_readers_serves_as_it_is,
        examples::bookinfo_answers_as_its_tables_say,
        fallback::a_cluster_that_does_not_exist,
        fallback::a_cluster_without_endpoints,
        fallback::a_cluster_that_comes_later,
        fallback::nothing_is_moved_where_the_number_is_dead,
        fallback::nothing_is_moved_from_an_aggregate_cluster,
    )
}

fn trial<F>(runtime: &Handle, subject: &Arc<Subject>, claim: &str, test: F) -> Trial
where
    F: AsyncFn(&Subject) + Send + 'static,
{
    let (runtime, subject) = (runtime.clone(), Arc::clone(subject));
    Trial::test(format!("{}::{claim}", subject.binary.version), move || {
        runtime
            .block_on(async { timeout(LONGEST_TRIAL, test(&subject)).await })
            .map_err(|_| format!("not done after {LONGEST_TRIAL:?}").into())
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let binaries = match binaries::envoys() {
        Ok(binaries) => binaries,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = Runtime::new().expect("a tokio runtime");
    let subjects: Vec<_> =
        binaries.into_iter().map(|binary| Arc::new(Subject { binary, shared: OnceCell::new() })).collect();
    let trials = subjects.iter().flat_map(|subject| trials(runtime.handle(), subject)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Before the process ends: dropping them ends the shared Envoys.
    drop(subjects);
    conclusion.exit_code()
}
