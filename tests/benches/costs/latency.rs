//! What users wait at half of the rate that the proxy with the filter can just bear.

use e2e::{
    binaries::EnvoyBinary,
    costs::{Latency, case},
    rounds::{Case, Field},
    statistics::quantile,
};

use crate::{Effort, cases::UPSTREAMS};

/// In turns, the other one first each time, so that neither is always the later one.
pub(crate) async fn measure(binary: &EnvoyBinary, cases: Vec<Case>, effort: &Effort) -> Latency {
    let mut field = Field::start(binary, &UPSTREAMS, cases).await;
    field.warm_up(effort.warm_up, effort.requests).await;
    let mut rates = Vec::new();
    for _ in 0..3 {
        rates.push(field.saturation(case::BOOKINFO, effort.saturating).await as f64);
    }
    let rate = quantile(&rates, 50) as u64 / 2;
    let requests = rate * effort.latency_millis / 1_000;
    let mut latency = Latency { rate, without: Vec::new(), with: Vec::new() };
    for round in 0..effort.latency_rounds {
        let mut turns = [(case::NO_FILTER, &mut latency.without), (case::BOOKINFO, &mut latency.with)];
        if round % 2 == 1 {
            turns.reverse();
        }
        for (name, p99s) in turns {
            p99s.push(quantile(&field.waits(name, rate, requests).await, 99).round());
        }
    }
    latency
}
