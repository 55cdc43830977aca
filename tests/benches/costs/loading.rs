//! What many rules take to be taken up by a VM, and to be kept there.

use e2e::{
    binaries::EnvoyBinary,
    canary::{Canary, Delivery},
    costs::Loading,
    rounds::Field,
    statistics::differences,
};
use serde_json::{Value, json};

use crate::{
    Effort,
    cases::{UPSTREAMS, everyone_to_v1},
    rules::{self, Rule},
};

/// What the processor time of all workers is divided by.
const WORKERS: f64 = 2.0;
/// Of the two Envoys whose memory is compared.
const MORE_WORKERS: u8 = 3;
const REQUESTS: u64 = 500;

pub(crate) async fn measure(binary: &EnvoyBinary, effort: &Effort) -> Loading {
    let rules = rules::mixed(effort.rules);
    let millis = take_up(binary, &rules, effort.loads).await;
    let (mut kib, mut kib_of_ten) = (Vec::new(), Vec::new());
    for _ in 0..effort.memories {
        kib.push(of_a_worker(binary, &rules).await);
        kib_of_ten.push(of_a_worker(binary, &rules::mixed(10)).await);
    }
    Loading { rules: rules.len(), millis, kib, kib_of_ten }
}

/// A document like no other, so that nobody can have seen it before.
pub(crate) fn generation(rules: &[Rule], number: usize) -> Value {
    let mut document = rules::document(rules);
    document["virtualServices"][0]["metadata"]["name"] = json!(format!("reviews-{number}"));
    document
}

/// Milliseconds of a worker for each new document of an Envoy without traffic.
async fn take_up(binary: &EnvoyBinary, rules: &[Rule], times: usize) -> Vec<f64> {
    let canary = Canary::start(binary, Delivery::Ecds, &rules::document(&[]), &["v1", "native"]).await;
    let mut spent = Vec::new();
    for number in 0..times {
        let before = canary.envoy.worker_time();
        canary.take(&generation(rules, number)).await;
        spent.push(((canary.envoy.worker_time() - before).as_secs_f64() * 1e4 / WORKERS).round() / 10.0);
    }
    canary.envoy.assert_no_crash();
    spent
}

/// KiB that a worker more has resident with these rules.
async fn of_a_worker(binary: &EnvoyBinary, rules: &[Rule]) -> f64 {
    let mut resident = Vec::new();
    for workers in [1, MORE_WORKERS] {
        let case = everyone_to_v1("rules", &rules::document(rules));
        let mut field = Field::start_with(binary, &UPSTREAMS, vec![case], workers).await;
        field.warm_up(REQUESTS, REQUESTS).await;
        resident.push(field.envoy.resident_kib() as f64);
    }
    differences(&resident[1..], &resident[..1])[0] / f64::from(MORE_WORKERS - 1)
}
