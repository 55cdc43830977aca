//! Requests that show whether an ejected version can serve again.

use std::time::Duration;

use crate::accrual::{End, FAILED, OK, TICK, cluster, config, end, end_at, fail, next, sent, started};
use crate::fixture::reviews;
use sdk_shims::entropy;
use sdk_shims::test_host::Stream;
use serde_json::json;

#[test]
fn a_trial_is_a_share_and_a_few_at_a_time() {
    let vm = started();
    let filter = vm.plugin(config(json!({"trial": {"percentage": {"value": 10}, "requests": 2}}))).unwrap();
    fail(&filter, 2);
    vm.advance(Duration::from_secs(12));
    entropy::reseed(7);
    let tried = (0..2_000).filter(|_| next(&filter) == reviews("v2")).count();
    assert!((140..=260).contains(&tried), "{tried} of 2,000 at 10 %");
    let waiting: Vec<_> = (0..500).map(|_| sent(&filter)).filter(|stream| cluster(stream) == reviews("v2")).collect();
    assert_eq!(waiting.len(), 2, "no more wait for an answer");
    let mut waiting = waiting.into_iter();
    let mut first = waiting.next().unwrap();
    first.response_headers([(":status", "200")], false);
    let more: Vec<_> = (0..500).map(|_| sent(&filter)).filter(|stream| cluster(stream) == reviews("v2")).collect();
    assert_eq!(more.len(), 1, "an answer frees a place");
}

#[test]
fn requests_that_hang_lose_their_place() {
    // The limit for slow requests, and the time from the first hanging trial to the next one.
    for (row, slow_after, again) in [("a failed trial", Some("1s"), 24), ("an endless trial", None, 11)] {
        let mut settings = json!({"trial": {"percentage": {"value": 100}, "requests": 2}});
        if let Some(slow_after) = slow_after {
            settings["slowAfter"] = json!(slow_after);
        }
        let vm = started();
        let filter = vm.plugin(config(settings)).unwrap();
        fail(&filter, 2);
        vm.advance(Duration::from_secs(12));
        let hanging = [sent(&filter), sent(&filter)];
        assert!(hanging.iter().all(|stream| cluster(stream) == reviews("v2")), "{row}");
        assert_eq!(next(&filter), reviews("v1"), "{row}: no free place");
        vm.advance(Duration::from_secs(9));
        assert_eq!(next(&filter), reviews("v1"), "{row}: not yet");
        vm.advance(Duration::from_secs(again - 9));
        (0..2).for_each(|_| end(sent(&filter), OK));
        vm.advance(TICK);
        let recovered = vm.metric("host=.=reviews.default.svc.cluster.local;.;version=.=v2;.;canary_recoveries_total");
        assert_eq!(recovered, Some(1), "{row}: it has recovered");
        drop(hanging);
        assert_eq!(next(&filter), reviews("v2"), "{row}");
    }
}

#[test]
fn a_request_during_an_ejection_is_not_a_trial() {
    for (row, result) in [("successes", OK), ("failures", FAILED)] {
        let vm = started();
        let settings = json!({"ejection": "10s", "trial": {"percentage": {"value": 100}, "requests": 2}});
        let filter = vm.plugin(config(settings)).unwrap();
        fail(&filter, 4);
        // Both versions are ejected, so the pick serves.
        let last_resort = [sent(&filter), sent(&filter)];
        assert!(last_resort.iter().all(|stream| cluster(stream) == reviews("v2")), "{row}");
        vm.advance(Duration::from_secs(12));
        let before: Vec<_> = vm.log();
        last_resort.into_iter().for_each(|stream| end(stream, result));
        vm.advance(TICK);
        assert_eq!(vm.log(), before, "{row}: neither recovered nor ejected");
        assert_eq!(next(&filter), reviews("v2"), "{row}: still on trial");
        (0..2).for_each(|_| end(sent(&filter), OK));
        vm.advance(TICK);
        assert_ne!(vm.log(), before, "{row}: the trial's own requests decide");
    }
}

#[test]
fn upgraded_connections_end_a_trial() {
    let upgraded = |flag: u32| End { flags: 1 << flag, status: 101, ..OK };
    for (row, result) in [("closed by the server", upgraded(6)), ("closed by the client", upgraded(14))] {
        let vm = started();
        let filter = vm.plugin(config(json!({}))).unwrap();
        fail(&filter, 2);
        vm.advance(Duration::from_secs(12));
        let send = |mut stream: Stream<'_>| {
            let resolved = cluster(&stream);
            end_at(&mut stream, result, &resolved);
        };
        (0..3).for_each(|_| send(sent(&filter)));
        vm.advance(TICK);
        let recovered = vm.metric("host=.=reviews.default.svc.cluster.local;.;version=.=v2;.;canary_recoveries_total");
        assert_eq!(recovered, Some(1), "{row}");
    }
}
