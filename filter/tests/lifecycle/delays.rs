//! `faults.delay: timer`: the filter pauses requests, and ticks end the delays.

use std::time::Duration;

use crate::fixture::{document, get, preflight, response_values, reviews, start};
use proxy_wasm::types::Action;
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

const TICK: Duration = Duration::from_millis(10);
const MS: u64 = 1_000_000;
/// A time that is not a multiple of the tick period.
const START: u64 = 1_795_000_000_123_456_789;

/// A rule that delays every request by this number of milliseconds.
fn delaying(milliseconds: u64, more: Value) -> Value {
    let mut rule =
        json!({"fault": {"delay": {"fixedDelay": format!("{milliseconds}ms"), "percentage": {"value": 100}}}});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn config(milliseconds: u64, max_active: u32) -> String {
    document(delaying(milliseconds, json!({})), json!({"faults": {"maxActive": max_active}}))
}

fn started() -> Vm {
    let vm = start();
    vm.set_time(START);
    vm
}

fn request<'vm>(plugin: &Plugin<'vm>) -> (Stream<'vm>, Action) {
    let mut stream = plugin.stream();
    let action = stream.request_headers(get("reviews", "/", &[]), true);
    (stream, action)
}

fn paused<'vm>(plugin: &Plugin<'vm>) -> Stream<'vm> {
    let (stream, action) = request(plugin);
    assert!(action == Action::Pause && stream.is_paused());
    stream
}

fn assert_within_a_tick(at: Option<u64>, deadline: u64, row: &str) {
    let late = at.unwrap().checked_sub(deadline).unwrap_or_else(|| panic!("{row}: too early"));
    assert!(late <= 10 * MS, "{row}: {late} ns late");
}

#[test]
fn a_delay_ends_within_one_tick_of_its_time() {
    for milliseconds in [1, 9, 10, 11, 2_000, 29_999] {
        let row = format!("{milliseconds} ms");
        let vm = started();
        let plugin = vm.plugin(config(milliseconds, 10)).unwrap();
        let stream = paused(&plugin);
        assert_eq!(stream.request_values("x-canary-cluster"), [reviews("v1").into_bytes()], "{row}: written before");
        vm.advance(Duration::from_millis(milliseconds) - Duration::from_nanos(1));
        assert!(stream.is_paused(), "{row}");
        vm.advance(TICK);
        assert_within_a_tick(stream.resumed_at(), START + milliseconds * MS, &row);
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_delay_is_cut_to_the_longest() {
    let vm = started();
    let plugin = vm.plugin(document(delaying(60_000, json!({})), json!({"faults": {"maxDelay": "1s"}}))).unwrap();
    let stream = paused(&plugin);
    vm.advance(Duration::from_secs(2));
    assert_within_a_tick(stream.resumed_at(), START + 1_000 * MS, "cut");
}

#[test]
fn delays_end_in_the_order_of_their_deadlines() {
    let vm = started();
    let (slow, fast) = (vm.plugin(config(100, 10)).unwrap(), vm.plugin(config(50, 10)).unwrap());
    let first = paused(&slow);
    let second = paused(&slow);
    vm.advance(Duration::from_millis(5));
    let third = paused(&fast);
    vm.advance(Duration::from_millis(45));
    let fourth = paused(&fast);
    // All are due by the next tick: their deadlines are at 100, 100, 55 and 100 ms.
    vm.set_time(START + 200 * MS);
    vm.advance(TICK);
    assert_eq!(vm.resumed(), [&third, &first, &second, &fourth].map(Stream::id));
}

#[test]
fn the_tick_runs_only_while_delays_are_pending() {
    let vm = started();
    let plugin = vm.plugin(config(20, 100)).unwrap();
    assert_eq!(vm.calls("proxy_set_tick_period_milliseconds"), 0);
    let streams: Vec<_> = (0..50).map(|_| paused(&plugin)).collect();
    assert_eq!(
        (vm.ticking(), vm.calls("proxy_set_tick_period_milliseconds")),
        (1, 1),
        "it is not set for each request"
    );
    vm.advance(4 * TICK);
    assert!(streams.iter().all(|stream| stream.resumed_at().is_some()));
    assert_eq!((vm.ticking(), vm.calls("proxy_set_tick_period_milliseconds")), (0, 2));
    drop(paused(&plugin));
    vm.advance(4 * TICK);
    assert_eq!((vm.ticking(), vm.calls("proxy_set_tick_period_milliseconds")), (0, 4));
}

#[test]
fn steady_traffic_does_not_stop_the_tick() {
    let vm = started();
    let plugin = vm.plugin(config(100, 1_000)).unwrap();
    let mut streams = Vec::new();
    for millisecond in 0..500 {
        streams.push((paused(&plugin), START + (millisecond + 100) * MS));
        vm.advance(Duration::from_millis(1));
    }
    vm.advance(Duration::from_millis(200));
    for (stream, deadline) in &streams {
        assert_within_a_tick(stream.resumed_at(), *deadline, "steady traffic");
    }
}

#[test]
fn a_local_reply_is_delayed_like_a_forwarded_request() {
    let response = json!({"response": {"set": {"x-a": "1"}}});
    let abort = json!({"httpStatus": 503, "percentage": {"value": 100}});
    let mut aborting = delaying(100, json!({"headers": response}));
    aborting["fault"]["abort"] = abort;
    let cors = json!({"corsPolicy": {"allowOrigins": [{"exact": "http://a.io"}]}, "headers": response});
    for (row, rule, request, status, details, header) in [
        ("abort", aborting, get("reviews", "/", &[]), 503, "canary_fault_abort", "x-a"),
        ("preflight", delaying(100, cors), preflight(), 200, "canary_cors_preflight", "access-control-allow-origin"),
    ] {
        let vm = started();
        let plugin = vm.plugin(document(rule, json!({}))).unwrap();
        let mut stream = plugin.stream();
        assert_eq!(stream.request_headers(request, true), Action::Pause, "{row}");
        vm.advance(Duration::from_millis(99));
        assert_eq!(stream.local_response(), None, "{row}");
        vm.advance(Duration::from_millis(11));
        assert_within_a_tick(stream.answered_at(), START + 100 * MS, row);
        let sent = stream.local_response().unwrap();
        assert_eq!((sent.status, sent.details.as_str()), (status, details), "{row}");
        assert_eq!(response_values(&stream, header).len(), 1, "{row}");
        assert_eq!(stream.resumed_at(), None, "{row}: answered, not resumed");
        drop(stream);
        vm.advance(2 * TICK);
        assert_eq!(vm.ticking(), 0, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_response_after_a_delay_is_changed_once() {
    let vm = started();
    let rule = delaying(20, json!({"headers": {"response": {"add": {"x-a": "1"}}}}));
    let plugin = vm.plugin(document(rule, json!({}))).unwrap();
    let mut stream = paused(&plugin);
    vm.advance(3 * TICK);
    stream.response_headers([(":status", "200")], true);
    assert_eq!(response_values(&stream, "x-a"), ["1"]);
}

#[test]
fn requests_above_max_active_are_not_delayed_and_are_counted() {
    let vm = started();
    let plugin = vm.plugin(config(100, 3)).unwrap();
    assert_eq!(vm.metric("canary_delays_skipped_total"), Some(0), "shown from the start");
    let active: Vec<_> = (0..3).map(|_| paused(&plugin)).collect();
    let skipped: Vec<_> = (0..5).map(|_| request(&plugin)).collect();
    assert!(skipped.iter().all(|(stream, action)| *action == Action::Continue
        && stream.request_values("x-canary-version") == [b"v1"]
        && stream.resumed_at().is_none()));
    assert_eq!(vm.metric("canary_delays_skipped_total"), Some(5));
    drop(active);
    let again = paused(&plugin);
    // Another configuration of the VM has its own limit for the same delays.
    let none = vm.plugin(document(delaying(100, json!({})), json!({"faults": {"maxActive": 0}}))).unwrap();
    assert_eq!(request(&none).1, Action::Continue);
    assert_eq!(vm.metric("canary_delays_skipped_total"), Some(6));
    vm.advance(Duration::from_millis(110));
    assert_within_a_tick(again.resumed_at(), START + 100 * MS, "after the excess requests");
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn above_max_active_an_abort_is_not_delayed() {
    let mut rule = delaying(100, json!({}));
    rule["fault"]["abort"] = json!({"httpStatus": 503, "percentage": {"value": 100}});
    let vm = started();
    let plugin = vm.plugin(document(rule, json!({"faults": {"maxActive": 0}}))).unwrap();
    let (stream, action) = request(&plugin);
    assert_eq!((action, stream.answered_at()), (Action::Pause, Some(START)));
}

#[test]
fn a_client_that_leaves_during_a_delay_leaves_no_state() {
    let vm = started();
    let plugin = vm.plugin(config(100, 2)).unwrap();
    for _ in 0..5_000 {
        drop((paused(&plugin), paused(&plugin)));
    }
    assert_eq!(vm.metric("canary_delays_skipped_total"), Some(0), "requests of clients that left are not active");
    let (stays, goes) = (paused(&plugin), paused(&plugin));
    vm.advance(5 * TICK);
    drop(goes);
    vm.advance(7 * TICK);
    assert_eq!(vm.resumed(), [stays.id()]);
    assert_eq!(vm.calls("proxy_set_effective_context"), 1, "ended streams are not entered");
    assert_eq!(vm.ticking(), 0);
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
}

#[test]
fn an_unknown_stream_is_not_an_error() {
    let vm = started();
    let plugin = vm.plugin(config(20, 1)).unwrap();
    let stream = paused(&plugin);
    let bad_argument = 2;
    vm.fail("proxy_set_effective_context", bad_argument);
    vm.advance(10 * TICK);
    assert_eq!((vm.calls("proxy_set_effective_context"), vm.ticking()), (1, 0));
    assert!(vm.logged(LogLevel::Error).is_empty(), "{:?}", vm.log());
    drop(stream);
}

#[test]
fn a_configuration_is_replaced_while_a_thousand_delays_are_pending() {
    enum Old {
        Stays,
        Ends,
        IsTheSame,
    }
    for (row, old, next) in [
        ("the old root context stays, the new one delays", Old::Stays, config(300, 2_000)),
        ("the old root context stays, the new one does not delay", Old::Stays, document(json!({}), json!({}))),
        ("the old root context ends, the new one delays", Old::Ends, config(300, 2_000)),
        ("the old root context ends, the new one does not delay", Old::Ends, document(json!({}), json!({}))),
        ("the same root context is configured again", Old::IsTheSame, config(300, 2_000)),
    ] {
        let vm = started();
        let first = vm.plugin(config(1_000, 2_000)).unwrap();
        let mut pending = Vec::new();
        for millisecond in 0..1_000 {
            pending.push((paused(&first), START + (millisecond + 1_000) * MS));
            vm.advance(Duration::from_millis(1));
            if millisecond == 499 {
                assert!(vm.plugin("{\"mode\": 1}").is_err(), "{row}: a rejected one changes nothing");
            }
        }
        let second = match old {
            Old::Stays | Old::Ends => vm.plugin(&next).unwrap(),
            Old::IsTheSame => {
                first.configure(&next).unwrap();
                first.clone()
            }
        };
        match old {
            Old::Ends => first.end(),
            Old::Stays | Old::IsTheSame => drop(first),
        }
        let new: Vec<_> = (0..10).map(|_| request(&second).0).filter(Stream::is_paused).collect();
        vm.advance(Duration::from_millis(1_010));
        for (stream, deadline) in &pending {
            assert_within_a_tick(stream.resumed_at(), *deadline, row);
        }
        for stream in &new {
            assert_within_a_tick(stream.resumed_at(), START + 1_300 * MS, row);
        }
        assert_eq!(vm.resumed().len(), 1_000 + new.len(), "{row}: each once");
        vm.advance(2 * TICK);
        assert_eq!(vm.ticking(), 0, "{row}");
        assert!(vm.logged(LogLevel::Error).iter().all(|line| line.contains("/mode")), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_root_context_that_ends_stops_its_tick() {
    let vm = started();
    let plugin = vm.plugin(config(1_000, 10)).unwrap();
    drop(paused(&plugin));
    assert_eq!(vm.ticking(), 1);
    drop(plugin);
    assert_eq!(vm.ticking(), 0);
}

#[test]
fn delays_end_after_the_clock_is_set_back() {
    let vm = started();
    let plugin = vm.plugin(config(1_000, 10)).unwrap();
    let stream = paused(&plugin);
    vm.advance(Duration::from_millis(500));
    vm.set_time(START - 3_600_000 * MS);
    vm.advance(Duration::from_millis(490));
    assert!(stream.is_paused());
    vm.advance(3 * TICK);
    assert!(stream.resumed_at().is_some());
}
