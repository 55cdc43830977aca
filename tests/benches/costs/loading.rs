//! What it takes to start a VM, and to load many rules; and what happens to requests meanwhile.

use std::time::{Duration, Instant};

use e2e::{
    bench::{Bench, Case, Traffic, cores::Cores},
    binaries::{self, EnvoyBinary},
    bootstrap::{NAME, discovered_filter, ecds_resource},
    costs::{Loading, Reload},
    envoy::Envoy,
    pushed::PushedFile,
    workload::rules::{self, Rule},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cases::{UPSTREAMS, filter},
    effort::Effort,
};

/// Requests per second while rules are reloaded.
const RATE: f64 = 500.0;
/// How many VMs there have been.
const CREATED: &str = "wasm.envoy.wasm.runtime.v8.created";
/// Until all threads have done what a new configuration makes them do.
const SETTLED: Duration = Duration::from_millis(200);

/// A proxy that takes the filter's configurations from a file.
struct Proxy {
    bench: Bench,
    file: PushedFile,
    _folder: TempDir,
}

/// Both, in two proxies.
pub(crate) async fn measure(binary: &EnvoyBinary, cores: Cores, effort: &Effort) -> (Loading, Reload) {
    let rules = rules::mixed(effort.rules);
    let loading = loading(&Proxy::start(binary, cores, &rules::document(&[])).await, &rules, effort).await;
    let reload = reload(&mut Proxy::start(binary, cores, &rules::document(&rules)).await, &rules, effort).await;
    (loading, reload)
}

async fn loading(proxy: &Proxy, rules: &[Rule], effort: &Effort) -> Loading {
    let Proxy { bench, file, .. } = proxy;
    let (mut millis, mut start_millis) = (Vec::new(), Vec::new());
    for number in 0..effort.loads {
        let before = bench.envoy.worker_time();
        take(&bench.envoy, file, &resource(&generation(rules, number))).await;
        millis.push(tenths(bench.envoy.worker_time() - before));
    }
    let created = bench.envoy.stat(CREATED).await;
    for number in 0..effort.starts {
        let mut resource = resource(&generation(&[], number));
        resource["typed_config"]["config"]["vm_config"]["vm_id"] = json!(format!("start-{number}"));
        let before = bench.envoy.processor_time();
        take(&bench.envoy, file, &resource).await;
        start_millis.push(tenths(bench.envoy.processor_time() - before));
    }
    // One that is compiled, one that the main thread tries the configuration in, one of the worker.
    assert!(bench.envoy.stat(CREATED).await >= created + 3 * effort.starts, "each start makes VMs");
    bench.envoy.assert_no_crash();
    Loading { rules: rules.len(), millis, start_millis }
}

async fn reload(proxy: &mut Proxy, rules: &[Rule], effort: &Effort) -> Reload {
    let Proxy { bench, file, .. } = proxy;
    let reloads = async |envoy: &Envoy| {
        let (begin, mut kib) = (Instant::now(), Vec::new());
        for number in 0..effort.reloads {
            take(envoy, file, &resource(&generation(rules, number))).await;
            kib.push(envoy.resident_kib());
        }
        (begin.elapsed(), kib)
    };
    let ((took, kib), traffic) = bench.during(0, RATE, reloads).await;
    let wait = async |_: &Envoy| tokio::time::sleep(took.min(effort.without_reloads)).await;
    let ((), control) = bench.during(0, RATE, wait).await;
    bench.envoy.assert_no_crash();
    assert_eq!(control.failures, [""; 0], "without reloads");
    assert_eq!(traffic.failures, [""; 0], "{} of {} failed", traffic.failed, traffic.requests + traffic.failed);
    Reload {
        rules: rules.len(),
        requests: traffic.requests,
        failures: traffic.failed,
        longest_millis: longest(&traffic),
        longest_millis_without: longest(&control),
        kib,
    }
}

impl Proxy {
    async fn start(binary: &EnvoyBinary, cores: Cores, document: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = PushedFile::new(folder.path().join("filter.json"), &[resource(document)]);
        let case = Case { filters: vec![discovered_filter(&file)], ..filter("rules", document, "v1").case };
        let bench = Bench::start(binary, cores, &UPSTREAMS, &[], &[case]).await;
        Self { bench, file, _folder: folder }
    }
}

fn resource(document: &Value) -> Value {
    ecds_resource(&binaries::wasm(), document)
}

/// A document like no other, so that nothing can have kept it.
fn generation(rules: &[Rule], number: u64) -> Value {
    let mut document = rules::document(rules);
    document["virtualServices"][0]["metadata"]["name"] = json!(format!("reviews-{number}"));
    document
}

/// Pushes a resource, and waits until every thread has it.
async fn take(envoy: &Envoy, file: &PushedFile, resource: &Value) {
    let reloads = format!("extension_config_discovery.http_filter.{NAME}.config_reload");
    let before = envoy.stat(&reloads).await;
    file.push(std::slice::from_ref(resource));
    tokio::time::sleep(SETTLED).await;
    envoy.wait_for_stat(&reloads, before + 1).await;
}

/// Milliseconds.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

fn longest(traffic: &Traffic) -> f64 {
    let longest = traffic.waits.iter().copied().max_by(f64::total_cmp).expect("an answer");
    (longest / 100.0).round() / 10.0
}
