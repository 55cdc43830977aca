//! What clients and upstreams of proxies under a real control plane of Istio see: istiod, its agent, which pulls the filter from a real
//! registry, and manifests applied by `kubectl`.
//!
//! `make test-istio`. One control plane serves all trials; each has a namespace and proxies of its own.

mod chart;
mod chart_values;
mod differential;
mod fallback;
mod gate;
mod gateway_api;
mod gateway_clusters;
mod grpc;
mod leaving;
mod lifecycle;
mod manifests;
mod pull_secret;
mod readme;
mod routing;
mod runbook;
mod shipped;
mod starting;

use std::{process::ExitCode, sync::Arc, time::Duration};

use e2e::{binaries, istio::mesh::Mesh};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

/// Longer than any trial takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(600);

macro_rules! trials {
    ($runtime:expr, $mesh:expr, $($claim:path),+ $(,)?) => {
        vec![$(trial($runtime, $mesh, stringify!($claim), $claim)),+]
    };
}

fn trials(runtime: &Handle, mesh: &Arc<Mesh>) -> Vec<Trial> {
    let mut trials = trials!(
        runtime,
        mesh,
        chart::renders_what_is_recorded,
        chart::agrees_with_canaryctl,
        chart::passes_istioctl,
        chart_values::refuses_wrong_values,
        chart_values::refuses_null_where_something_has_to_be_said,
        chart_values::takes_null_for_what_may_be_empty,
        chart_values::labels_a_build_of_a_version,
        chart_values::takes_names_that_yaml_reads_otherwise,
        chart_values::leaves_replicas_to_an_autoscaler,
        chart_values::renames_none_when_one_goes,
        chart::works_at_a_gateway,
        chart::upgrades_lose_nothing,
        routing::at_a_gateway_by_wasmplugin,
        routing::at_a_gateway_by_trafficextension,
        routing::at_a_gateway_by_envoyfilter,
        routing::at_a_sidecar_by_wasmplugin,
        routing::at_a_sidecar_by_trafficextension,
        routing::at_a_sidecar_by_envoyfilter,
        lifecycle::of_a_wasmplugin_at_a_gateway,
        lifecycle::of_a_trafficextension_at_a_sidecar,
        lifecycle::of_an_envoyfilter_at_a_gateway,
        lifecycle::of_an_envoyfilter_at_a_sidecar,
        leaving::mode_version_loses_nothing,
        leaving::mode_version_the_wrong_way_round_tells_upstreams_a_wrong_version,
        fallback::loses_nothing_in_mode_cluster,
        fallback::loses_nothing_in_mode_version,
        fallback::version_headers_are_those_of_their_protocol,
        grpc::clients_name_their_version,
        gateway_api::an_httproute_reads_what_the_plugin_picks,
        gateway_clusters::are_those_of_the_rules_too,
        pull_secret::opens_a_registry_with_a_password,
        shipped::are_all_that_is_shipped,
        shipped::for_sidecars_steer_them,
        shipped::for_gateways_steer_them,
        shipped::for_the_gateway_api_steer_its_gateways,
        manifests::every_manifest_is_valid,
        manifests::what_is_rendered_of_every_example_is_valid,
        manifests::what_is_wrong_is_found,
        readme::every_command_has_the_output_that_is_shown,
        runbook::loses_nothing,
        runbook::in_the_wrong_order_loses_requests,
        runbook::in_the_wrong_order_loses_nothing_in_mode_cluster,
        runbook::in_the_wrong_order_loses_nothing_in_mode_version,
        starting::with_a_document_that_is_refused,
        starting::with_a_document_that_other_manifests_bring,
        starting::with_a_document_that_is_refused_and_no_net,
        starting::with_no_registry,
        starting::with_an_image_that_cannot_be_had,
        starting::after_a_failure_of_the_filter,
        differential::a_planted_deviation_is_reported,
        differential::intended_differences_are_documented,
    );
    trials.extend(differential::cases().into_iter().map(|case| {
        let claim = format!("differential::{}", case.name);
        trial(runtime, mesh, &claim, async move |mesh: &Mesh| differential::is_the_same(mesh, &case).await)
    }));
    trials
}

fn trial<F>(runtime: &Handle, mesh: &Arc<Mesh>, claim: &str, test: F) -> Trial
where
    F: AsyncFn(&Mesh) + Send + 'static,
{
    let (runtime, mesh) = (runtime.clone(), Arc::clone(mesh));
    Trial::test(claim, move || {
        let done = runtime.block_on(async { timeout(LONGEST, test(&mesh)).await });
        done.map_err(|_| Failed::from(format!("not done after {LONGEST:?}")))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        eprintln!("the trials are known once the control plane is up: run them");
        return ExitCode::FAILURE;
    }
    let Ok(mut envoys) = binaries::envoys().inspect_err(|error| eprintln!("error: {error}")) else {
        return ExitCode::FAILURE;
    };
    let envoy = envoys.pop().expect("an Envoy");
    let runtime = Runtime::new().expect("a tokio runtime");
    // By this thread, which ends last: the kernel ends what a thread has started when the thread ends.
    let mesh = Arc::new(runtime.block_on(Mesh::start(envoy)));
    let conclusion = libtest_mimic::run(&arguments, trials(runtime.handle(), &mesh));
    drop(mesh);
    conclusion.exit_code()
}
