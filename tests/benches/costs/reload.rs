//! New rules over and over, while clients ask.

use std::time::{Duration, Instant};

use e2e::{
    binaries::EnvoyBinary,
    canary::{Canary, Delivery},
    client::Protocol,
    costs::Reload,
    load::{Kind, Load, Outcome},
};

use crate::{Effort, cases::request, loading::generation, rules};

const CONNECTIONS: u64 = 8;
/// Between an answer and the next request of a connection.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn measure(binary: &EnvoyBinary, effort: &Effort) -> Reload {
    let rules = rules::mixed(effort.rules);
    let canary = Canary::start(binary, Delivery::Ecds, &rules::document(&rules), &["v1", "native"]).await;
    let start = || Load::paced(canary.address, &Kind::Http(Protocol::Http1, request("someone")), CONNECTIONS, PAUSE);
    let (load, begin) = (start(), Instant::now());
    let mut kib = Vec::new();
    for number in 0..effort.reloads {
        canary.take(&generation(&rules, number)).await;
        kib.push(canary.envoy.resident_kib());
    }
    let (took, outcome) = (begin.elapsed(), load.stop().await);
    let control = start();
    tokio::time::sleep(took).await;
    let control = control.stop().await;
    assert_eq!(control.failures, [""; 0], "without a change");
    canary.envoy.assert_no_crash();
    let failures = outcome.all() - outcome.served("v1");
    assert_eq!(failures, 0, "of {}: {:?}", outcome.all(), outcome.failures.first());
    Reload {
        rules: rules.len(),
        requests: outcome.all(),
        failures,
        longest_millis: longest(&outcome),
        longest_millis_without: longest(&control),
        kib,
    }
}

fn longest(outcome: &Outcome) -> f64 {
    let longest = outcome.durations.iter().max().expect("an answer");
    (longest.as_secs_f64() * 1e4).round() / 10.0
}
