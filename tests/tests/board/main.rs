//! What `canaryctl board` shows of a stock Envoy with the filter: by its API on each Envoy version, and in Chromium.
//!
//! The claims about the page need `CHROMIUM=/path/to/chromium`, as `make test-board` sets it; without it they are ignored.

mod api;
mod page;
mod picture;
mod relay;

use std::{process::ExitCode, time::Duration};

use e2e::{
    binaries::{self, EnvoyBinary},
    bootstrap::Surroundings,
    browser,
    canary::{Backend, Canary, Delivery},
    canaryctl::Server,
    client::{self, Protocol, Request},
    failover::Failover,
    load::Load,
    wait,
};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

const LONGEST: Duration = Duration::from_secs(180);
const HOST: &str = "reviews.default.svc.cluster.local";

/// Reviews by weight, unless a client names its version. v1 replaces versions that cannot serve.
fn document(v1: u64, v2: u64) -> Value {
    let to =
        |subset: &str, weight: u64| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight});
    json!({
        "mode": "cluster",
        "virtualServices": [{"hosts": ["reviews"], "http": [{"name": "split", "route": [to("v1", v1), to("v2", v2)]}]}],
        "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}, {"name": "v3"}]}],
        "services": [{"host": "reviews", "ports": [9080]}],
        "policies": [{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"], "versionHeader": {"name": "want"}}],
    })
}

async fn start(binary: &EnvoyBinary, delivery: Delivery, document: &Value) -> Canary {
    let surroundings = Surroundings::failing_over(Failover::newest(&binary.version), 2);
    let backends = ["v1", "v2", e2e::canary::NATIVE].map(Backend::of);
    Canary::start_in(binary, delivery, surroundings, document, &backends).await
}

/// Requests for reviews, one after the other on each of four connections.
async fn serve(canary: &Canary, get: Request, requests: u64) {
    Load::start(canary.address, Protocol::Http1, &get, 4, requests).finish().await;
}

fn reviews() -> Request {
    Request::new("reviews", "/")
}

/// The board's data of the last minute. Waits until it satisfies a condition.
async fn state(board: &Server, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let get = Request::new("localhost", "/api/state?window=60");
    wait::until(what, async || {
        let answer = client::send(board.address(), Protocol::Http1, &get).await;
        Some(serde_json::from_str(&answer.body).expect("a state")).filter(|state| wanted(state))
    })
    .await
}

/// A version of reviews in a state.
fn version<'s>(state: &'s Value, name: &str) -> &'s Value {
    let services = state["view"]["services"].as_array().into_iter().flatten();
    let reviews = services.filter(|service| service["host"] == HOST);
    let mut versions = reviews.filter_map(|service| service["versions"].as_array()).flatten();
    versions.find(|version| version["version"] == name).unwrap_or(&Value::Null)
}

fn trial<F>(runtime: &Handle, binary: &EnvoyBinary, claim: &str, test: F) -> Trial
where
    F: AsyncFn(&EnvoyBinary) + Send + 'static,
{
    let (runtime, binary) = (runtime.clone(), binary.clone());
    Trial::test(format!("{}::{claim}", binary.version), move || {
        runtime
            .block_on(async { timeout(LONGEST, test(&binary)).await })
            .map_err(|_| format!("not done after {LONGEST:?}").into())
    })
}

/// A claim about the page of this Envoy's board.
fn page_trial<F>(runtime: &Handle, binary: &EnvoyBinary, claim: &str, test: F) -> Trial
where
    F: Fn(&Handle, &EnvoyBinary, &std::path::Path) + Send + 'static,
{
    let chromium = browser::chromium();
    let is_ignored = chromium.is_none();
    let (handle, envoy) = (runtime.clone(), binary.clone());
    let trial = Trial::test(format!("{}::{claim}", binary.version), move || {
        let chromium = chromium.ok_or("CHROMIUM=/path/to/chromium is not set: make test-board")?;
        test(&handle, &envoy, &chromium);
        Ok(())
    });
    trial
        .with_kind(if is_ignored { "skipped without Chromium: make test-board" } else { "" })
        .with_ignored_flag(is_ignored)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Ok(binaries) = binaries::envoys().inspect_err(|error| eprintln!("error: {error}")) else {
        return ExitCode::FAILURE;
    };
    let runtime = Runtime::new().expect("a tokio runtime");
    let handle = runtime.handle();
    let mut trials = Vec::new();
    for binary in &binaries {
        trials.extend([
            trial(
                handle,
                binary,
                "api::counts_are_what_the_upstreams_recorded",
                api::counts_are_what_the_upstreams_recorded,
            ),
            trial(
                handle,
                binary,
                "api::outages_are_told_and_rates_survive_them",
                api::outages_are_told_and_rates_survive_them,
            ),
            trial(
                handle,
                binary,
                "api::requests_are_explained_by_what_is_loaded",
                api::requests_are_explained_by_what_is_loaded,
            ),
        ]);
    }
    if let Some(last) = binaries.last() {
        trials.push(trial(handle, last, "api::strangers_are_not_answered", api::strangers_are_not_answered));
        trials.push(page_trial(handle, last, "page::follows_a_shift", page::follows_a_shift));
        trials.push(page_trial(handle, last, "page::says_what_is_amiss", page::says_what_is_amiss));
        if let Some(file) = picture::wanted() {
            let picture = move |runtime: &Handle, envoy: &EnvoyBinary, chromium: &std::path::Path| {
                picture::take(runtime, envoy, chromium, &file);
            };
            trials.push(page_trial(handle, last, "picture", picture));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
